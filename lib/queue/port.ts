import { type CallOutcome, type QueueOperation, queueOperations } from '../telemetry/catalogue.ts'
import type { Doorbell } from './doorbell.ts'
import type { Engine } from './engine.ts'
import { type EventSource, follow, pageRows, pollMs } from './follow.ts'
import type { Claim, OpenOptions, Queue } from './queue.ts'
import type * as reads from './reads.ts'
import type * as writes from './writes.ts'

type Methods = typeof reads & Omit<typeof writes, 'claimAll' | 'purge'>
export type Method = Exclude<keyof Methods, 'maxBackoffMs'>
/** An operation's parameters after the engine. */
type Arguments<F> = F extends (engine: Engine, ...rest: infer R) => unknown ? R : never
type Answer<F> = F extends (...args: never) => Promise<infer T> ? T : never
/** Runs an operation on the engine, in a transaction that is durable when it resolves. */
export type Run = (method: Method, args: unknown[]) => Promise<unknown>

/** Wait of a worker that found work locked by others, who may release it. */
const missMs = 5

type OfEngine = Partial<Pick<EventSource, 'numbersEarly'>> & { now: () => number; close: () => Promise<void> }

/** The queue on an engine. Waiting, paging and measuring are the same for every engine. */
export function queueOn(
  run: Run,
  doorbell: Doorbell,
  { observe }: OpenOptions,
  { now, numbersEarly = false, close: closeEngine }: OfEngine,
): Queue {
  const closing = new AbortController()
  const unanswered = new Set<{ since: number }>()
  const heldBy = ({ job, token }: Claim) => ({ photo: job.photo, token })

  async function call<M extends Method>(
    method: M,
    ...args: Arguments<Methods[M]>
  ): Promise<Answer<Methods[M]>> {
    const asked = { since: performance.now() }
    unanswered.add(asked)
    let outcome: CallOutcome = 'ours'
    try {
      const answer = await run(method, args)
      outcome = answer === 'full' || answer === 'late' || answer === 'stale' ? 'refused' : 'ok'
      return answer as Answer<Methods[M]>
    } catch (cause) {
      throw new Error(`queue could not ${method}: ${(cause as Error).message}`, { cause })
    } finally {
      unanswered.delete(asked)
      if (isObserved(method)) observe?.(method, (performance.now() - asked.since) / 1000, outcome)
    }
  }

  const events: EventSource = {
    page: (after, limit) => call('eventsAfter', after, limit),
    doorbell,
    numbersEarly,
  }

  return {
    enqueue: (job, queuedAt) => call('enqueue', job, queuedAt),
    async claim(worker, leaseMs, signal) {
      while (!signal.aborted && !closing.signal.aborted) {
        const rings = doorbell.rings()
        const found = await call('claim', worker, leaseMs)
        if ('nothingBefore' in found) {
          const waitMs = Math.max(missMs, Math.min(pollMs, found.nothingBefore - now()))
          await doorbell.wait(rings, waitMs, signal)
        } else if (!signal.aborted) return found
        else await call('release', heldBy(found))
      }
      return 'aborted'
    },
    renew: (claim, leaseMs) => call('renew', heldBy(claim), leaseMs),
    complete: (claim, durableAt) => call('complete', heldBy(claim), durableAt),
    fail: (claim, reason, failedAt) => call('fail', heldBy(claim), reason, failedAt),
    release: claim => call('release', heldBy(claim)),
    remove: (photo, owner) => call('remove', photo, owner),
    bar: (photo, owner) => call('bar', photo, owner),
    bury: photo => call('bury', photo),
    tombstones: limit => call('tombstones', limit),
    overdue: limit => call('overdue', limit),
    mark: (photo, outcome) => call('mark', photo, outcome),
    lost: limit => call('lost', limit),
    endLost: (photo, as) => call('endLost', photo, as),
    look: photo => call('look', photo),
    announce: worker => call('announce', worker),
    stats: () => call('stats'),
    deadLetters: limit => call('deadLetters', limit),
    expireDead: ageMs => call('expireDead', ageMs),
    replay: photo => call('replay', photo),
    restore: (job, settled) => call('restore', job, settled),
    eventsOf: (owner, after) => call('eventsOf', owner, after),

    events(after, signal) {
      // Read now, not at the first event: the events from this call on are delivered.
      const start = after === null ? call('lastEvent') : Promise.resolve(after)
      start.catch(() => {}) // the reader below gets the error
      const until = AbortSignal.any([signal, closing.signal])
      return (async function* () {
        yield* follow(events, await start, until)
      })()
    },
    async *outcomes() {
      for (let after = 0; ; ) {
        const rows = await call('outcomesAfter', after, pageRows)
        yield* rows.map(({ photo, outcome }) => ({ photo, outcome }))
        const last = rows.at(-1)
        if (!last) return
        after = last.seq
      }
    },
    now,
    unansweredMs() {
      const [oldest] = unanswered
      return oldest ? performance.now() - oldest.since : 0
    },
    async close() {
      if (closing.signal.aborted) return
      closing.abort()
      doorbell.close()
      await closeEngine()
    },
  }
}

const isObserved = (method: Method): method is Method & QueueOperation =>
  (queueOperations as readonly string[]).includes(method)
