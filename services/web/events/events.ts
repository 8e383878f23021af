import { EventEmitter } from 'node:events'
import type { Owner } from '@tintype/lib/photo/record.ts'
import type { Queue, QueueEvent } from '@tintype/lib/queue/index.ts'
import { repeat } from '@tintype/lib/repeat.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'

/** Pause before the queue's events are read again after an error. */
const retryMs = 1_000

/** Reads the queue's events once for the process and passes them to the subscribers of their owner. */
export function openEvents(queue: Pick<Queue, 'events' | 'lastEvent'>, log: Log, signal: AbortSignal) {
  const owners = new EventEmitter().setMaxListeners(0)
  let seq: number | null = null
  let reading = new AbortController()

  const read = async () => {
    // Kept over an error, so that the next read goes on from there.
    seq ??= await queue.lastEvent()
    const until = AbortSignal.any([signal, reading.signal])
    for await (const event of queue.events(seq, until)) {
      if (until.aborted) return
      seq = event.seq
      owners.emit(event.owner, event)
    }
  }
  repeat(retryMs, signal, read, error => log.error('events.failed', { error }))

  return {
    /** Returns the function that ends the subscription. */
    subscribe(owner: Owner, listener: (event: QueueEvent) => void): () => void {
      owners.on(owner, listener)
      return () => void owners.off(owner, listener)
    },
    /** The last event that was passed on, or came before the start; null while the queue was not reached. */
    seq: () => seq,
    /** Goes on after an earlier event: a queue that was restored from a backup has no later one. */
    rewind(to: number): void {
      seq = to
      reading.abort()
      reading = new AbortController()
    },
  }
}
