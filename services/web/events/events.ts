import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '@tintype/lib/errors.ts'
import type { Owner } from '@tintype/lib/photo/record.ts'
import type { Queue, QueueEvent } from '@tintype/lib/queue/index.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'

/** Pause before the queue's events are read again after an error. */
const retryMs = 1_000

type Listener = (event: QueueEvent) => void

/** Reads the queue's events once a process and passes them to the subscribers of their owner. */
export type Events = {
  /** Returns the function that ends the subscription. */
  subscribe(owner: Owner, listener: Listener): () => void
  /** The last event passed on; null when there was none since the start. */
  seq(): number | null
}

export function openEvents(queue: Pick<Queue, 'events'>, log: Log, signal: AbortSignal): Events {
  const listeners = new Map<Owner, Set<Listener>>()
  let seq: number | null = null

  const read = async () => {
    for await (const event of queue.events(seq, signal)) {
      seq = event.seq
      for (const listener of listeners.get(event.owner) ?? []) listener(event)
    }
  }
  const readOn = async () => {
    while (!signal.aborted) {
      await read().catch(
        error => signal.aborted || log.error('events.failed', { error: describeError(error) }),
      )
      await sleep(retryMs, undefined, { signal }).catch(() => {})
    }
  }
  readOn()

  return {
    subscribe(owner, listener) {
      const own = listeners.get(owner) ?? new Set()
      listeners.set(owner, own.add(listener))
      return () => {
        own.delete(listener)
        if (own.size === 0 && listeners.get(owner) === own) listeners.delete(owner)
      }
    },
    seq: () => seq,
  }
}
