import { type Tally, tally, total } from '../sli.ts'
import type { Minute, Objective, Slot, Source } from '../source/index.ts'

/** Minutes asked for again each time: what was scraped or written late is then still counted. */
const overlapMinutes = 10

/** An objective and all its recent minutes, in memory, so that one tick asks for a few minutes and no more. */
export type History = {
  objective: Objective
  /**
   * Brings it up to the start of `now`. When the source is away, the missing minutes are unknown, so that what is
   * known still alerts, and the error is thrown.
   */
  refresh(now: Minute): Promise<void>
  /** The slots of [from, to) that are known; `start` is when the promise began: the first count ever seen. */
  current(): { slots: readonly Slot[]; tally: Tally; from: Minute; to: Minute; start: Minute | null }
}

export function createHistory(objective: Objective, source: Source): History {
  const { sli, method, windowMinutes, tiers } = objective
  // The window, and before it a day of alerts with the longest look back of theirs.
  const keep = windowMinutes + 1440 + Math.max(0, ...tiers.map(tier => tier.longMinutes))
  let slots: Slot[] = []
  let start: Minute | null = null
  let known = { from: 0, to: 0, tally: tally(method, 0, []) }

  const merge = (from: Minute, fetched: readonly Slot[]): void => {
    const older = slots.slice(0, Math.max(0, from - known.from))
    const first = slots.length > 0 ? known.from : from
    slots = [...older, ...fetched]
    const surplus = Math.max(0, slots.length - keep)
    slots = slots.slice(surplus)
    const begin = first + surplus
    known = { from: begin, to: begin + slots.length, tally: tally(method, begin, slots) }
  }

  return {
    objective,
    async refresh(now) {
      const from =
        slots.length === 0 ? now - keep : Math.max(known.from, Math.min(known.to, now) - overlapMinutes)
      try {
        merge(from, await source.slots(sli, from, now))
        start ??= await startOf(source, objective, known.from, slots)
      } catch (error) {
        const since = Math.max(known.to, from)
        merge(
          since,
          Array.from({ length: now - since }, (_, i) => nothing(since + i)),
        )
        throw error
      }
    },
    current: () => ({ slots, start, ...known }),
  }
}

const nothing = (start: Minute): Slot => ({ start, good: 0, total: 0, unknown: true })

async function startOf(
  source: Source,
  { sli }: Objective,
  from: Minute,
  slots: readonly Slot[],
): Promise<Minute | null> {
  if (await source.seenBefore(sli, from)) return from
  return slots.find(slot => slot.total > 0)?.start ?? null
}

/** Whether anything was ever counted. */
export const hasBegun = (history: History): boolean => {
  const { tally, from, to } = history.current()
  return total(tally, from, to) > 0
}
