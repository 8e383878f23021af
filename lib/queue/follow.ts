import { setTimeout as sleep } from 'node:timers/promises'
import type { Doorbell } from '../doorbell.ts'
import type { QueueEvent } from './job.ts'

/** Events are read in pages, so that no read blocks the engine for long. */
const pageRows = 500
/** The longest delay of an event whose ring was lost, and of a job that becomes due: a retry, a dead worker's photo. */
export const pollMs = 1_000
/** Shortest time between two reads, each of which costs 0.15 ms of CPU: the events of a busy moment share one. */
const readEveryMs = 10
/**
 * A missing number is read again after `holeStepMs`. After `holeReads` reads its transaction counts as rolled back: a
 * busy disk may hold a commit for more than a second. Reads are counted and not time, because a transaction makes no
 * progress while the machine is suspended.
 */
const holeStepMs = 10
const holeReads = 300
/** A larger gap means purged events: never are so many transactions open at once. */
const maxHole = 10_000

/**
 * The events after `seen`, in order and without gaps, until aborted.
 * @param page reads the events after a number, oldest first.
 */
export async function* follow(
  page: (after: number, limit: number) => Promise<QueueEvent[]>,
  doorbell: Doorbell,
  seen: number,
  signal: AbortSignal,
): AsyncIterable<QueueEvent> {
  let reads = 0
  /** The newest event when the first hole was read first. Holes before it are as old, as after a failover of the server. */
  let newest = 0
  while (!signal.aborted) {
    const rings = doorbell.rings()
    const nextRead = performance.now() + readEveryMs
    const found = await page(seen, pageRows)
    const events = untilHole(found, seen, reads > holeReads ? newest : 0)
    yield* events
    seen = events.at(-1)?.seq ?? seen
    if (events.length < found.length) {
      // No event up to `newest` is left when they were purged meanwhile: then those that are there are waited for.
      if (events.length > 0 || reads > holeReads) reads = 0
      if (reads++ === 0) newest = found.at(-1)?.seq ?? 0
      await sleep(holeStepMs, undefined, { signal }).catch(() => {})
    } else {
      reads = 0
      if (found.length === pageRows) continue
      await doorbell.wait(rings, pollMs, signal)
      const earlyMs = nextRead - performance.now()
      if (earlyMs > 0) await sleep(earlyMs, undefined, { signal }).catch(() => {})
    }
  }
}

/** The events before the first missing number after `old`: PostgreSQL numbers events before their transactions commit. */
function untilHole(events: QueueEvent[], seen: number, old: number): QueueEvent[] {
  const hole = events.findIndex(({ seq }, i) => {
    const missing = seq - (events[i - 1]?.seq ?? seen) - 1
    return seq > old && missing > 0 && missing < maxHole
  })
  return hole < 0 ? events : events.slice(0, hole)
}
