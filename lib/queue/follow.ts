import { setTimeout as sleep } from 'node:timers/promises'
import type { Doorbell } from './doorbell.ts'
import type { QueueEvent } from './queue.ts'

export type EventSource = {
  /** Events after a number, oldest first. */
  page(after: number, limit: number): Promise<QueueEvent[]>
  doorbell: Doorbell
  /** Whether the engine numbers an event before its transaction commits: a missing number may still come. */
  numbersEarly: boolean
}

/** Events and outcomes are read in pages: none holds up the engine. */
export const pageRows = 500
/** A lost ring of the doorbell delays by no more than this. */
export const pollMs = 1_000
/** How soon a missing number is looked for again, and when it is given up: its transaction was rolled back. */
const holeStepMs = 10
const holeMs = 1_000
/** More numbers than this are never under way at once: these were purged. */
const maxHole = 10_000

/** The events after `seen`, in the order of their numbers, none left out, until aborted. */
export async function* follow(
  { page, doorbell, numbersEarly }: EventSource,
  seen: number,
  signal: AbortSignal,
): AsyncIterable<QueueEvent> {
  let holeSince = 0
  while (!signal.aborted) {
    const rings = doorbell.rings()
    const found = await page(seen, pageRows)
    const isGivenUp = holeSince > 0 && performance.now() - holeSince > holeMs
    const from = isGivenUp && found[0] ? found[0].seq - 1 : seen
    const events = numbersEarly ? untilHole(found, from) : found
    yield* events
    seen = events.at(-1)?.seq ?? seen
    if (events.length < found.length) {
      if (events.length > 0 || holeSince === 0) holeSince = performance.now()
      await sleep(holeStepMs, undefined, { signal }).catch(() => {})
    } else {
      holeSince = 0
      if (found.length < pageRows) await doorbell.wait(rings, pollMs, signal)
    }
  }
}

/** The events before the first missing number. */
function untilHole(events: QueueEvent[], seen: number): QueueEvent[] {
  const hole = events.findIndex(({ seq }, i) => {
    const missing = seq - (events[i - 1]?.seq ?? seen) - 1
    return missing > 0 && missing < maxHole
  })
  return hole < 0 ? events : events.slice(0, hole)
}
