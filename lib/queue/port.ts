import type { Doorbell } from '../doorbell.ts'
import { repeat } from '../repeat.ts'
import { type CallOutcome, type QueueOperation, queueOperations } from '../telemetry/catalogue.ts'
import type { Engine, QueueOptions } from './engine.ts'
import { follow, pollMs } from './follow.ts'
import type { QueueEvent } from './job.ts'
import * as reads from './reads.ts'
import type { Claim } from './transitions.ts'
import * as writes from './writes.ts'

export type { Claim }

type Operations = typeof reads & typeof writes
export type Method = keyof Operations
/** An operation's parameters after the engine. */
type Arguments<F> = F extends (engine: Engine, ...rest: infer R) => unknown ? R : never
type Answer<F> = F extends (...args: never) => Promise<infer T> ? T : never
/** Operations that `Queue` calls itself. */
type Internal = 'claim' | 'claimAll' | 'purge' | 'eventsAfter'

/**
 * A durable job queue with leases: the operations of reads.ts and writes.ts on an engine, each durable when it
 * resolves. They throw when the engine is busy or unreachable or its disk is full; the error or its cause has a code.
 */
export type Queue = {
  [M in keyof Operations as Exclude<M, Internal>]: (
    ...args: Arguments<Operations[M]>
  ) => Promise<Answer<Operations[M]>>
} & {
  /** Waits for a job. The lease begins with the claim. A dead worker's job is claimed again when its lease ends. */
  claim(worker: string, leaseMs: number, signal: AbortSignal): Promise<Claim | 'aborted'>
  /** Events of all owners after `after`, until aborted. From now on: after `lastEvent`. */
  events(after: number, signal: AbortSignal): AsyncIterable<QueueEvent>
  /** Epoch ms by the engine's clock, which all stages of a photo use. */
  now(): number
  close(): Promise<void>
}

export type QueueCall = { method: Method; args: unknown[] }
const operations = { ...reads, ...writes } as unknown as Record<
  Method,
  (engine: Engine, ...args: unknown[]) => Promise<unknown>
>
export const callEngine = (engine: Engine, { method, args }: QueueCall): Promise<unknown> =>
  operations[method](engine, ...args)
export const isRead = ({ method }: QueueCall): boolean => method in reads

/** Pause between purges. All processes together remove rows faster than they add them. */
const purgeEveryMs = 1_000

type OfEngine = {
  /** Runs a call on the engine, durably. */
  ask: (call: QueueCall) => Promise<unknown>
  /** A doorbell that rings for waiting jobs only; default: the doorbell of all events. */
  work?: Doorbell
  now: () => number
  close: () => Promise<void>
}

/** The queue on an engine. Waiting, paging and measuring are the same for every engine. */
export function queueOn(
  doorbell: Doorbell,
  { observe }: QueueOptions,
  { ask, work = doorbell, now, close }: OfEngine,
): Queue {
  const closing = new AbortController()

  async function call<M extends Method>(method: M, ...args: Arguments<Operations[M]>) {
    const since = performance.now()
    let outcome: CallOutcome = 'ours'
    try {
      const answer = await ask({ method, args })
      outcome = answer === 'full' || answer === 'late' || answer === 'stale' ? 'refused' : 'ok'
      return answer as Answer<Operations[M]>
    } catch (cause) {
      throw new Error(`queue could not ${method}: ${(cause as Error).message}`, { cause })
    } finally {
      if ((queueOperations as readonly string[]).includes(method))
        observe?.(method as QueueOperation, (performance.now() - since) / 1000, outcome)
    }
  }

  repeat(purgeEveryMs, closing.signal, () => call('purge'))

  const methods = Object.keys(operations).map(method => [method, call.bind(null, method as Method)])

  return {
    ...(Object.fromEntries(methods) as Queue),

    async claim(worker, leaseMs, signal) {
      while (!signal.aborted && !closing.signal.aborted) {
        const rings = work.rings()
        const found = await call('claim', worker, leaseMs)
        if (!found) await work.wait(rings, pollMs, signal)
        else if (!signal.aborted) return found
        else await call('release', found)
      }
      return 'aborted'
    },

    events(after, signal) {
      const until = AbortSignal.any([signal, closing.signal])
      return follow((after, limit) => call('eventsAfter', after, limit), doorbell, after, until)
    },

    now,

    async close() {
      if (closing.signal.aborted) return
      closing.abort()
      doorbell.close()
      work.close()
      await close()
    },
  }
}
