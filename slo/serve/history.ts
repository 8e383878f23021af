import { type Tally, tally } from '../math/sli.ts'
import { longestWindowMinutes } from '../math/window.ts'
import type { Minute, Objective, Slot, Source } from '../sources/index.ts'

/** Minutes asked for again each time: what was scraped or written late is then still counted. */
const overlapMinutes = 10

/** The known minutes of an objective, without holes: [from, to). */
export type Known = { from: Minute; to: Minute; slots: readonly Slot[]; tally: Tally }

/** An objective and all its recent minutes, in memory, so that one tick asks for a few minutes and no more. */
export type History = {
  objective: Objective
  /**
   * Brings it up to the start of `now`. When the source is away, the missing minutes are unknown, so that what is
   * known still alerts, and the error is thrown.
   */
  refresh(now: Minute): Promise<void>
  known(): Known
}

export function createHistory(objective: Objective, source: Source): History {
  const { sli, tiers } = objective
  // The window, and before it a day of alerts with the longest look back of theirs.
  const keep = longestWindowMinutes(objective) + 1440 + Math.max(0, ...tiers.map(tier => tier.longMinutes))
  let known: Known = { from: 0, to: 0, slots: [], tally: tally(objective, 0, []) }
  let read = false

  /** `from` is not after the end of what is known. */
  const merge = (from: Minute, fetched: readonly Slot[]): void => {
    const older = known.slots.slice(0, Math.max(0, from - known.from))
    const slots = [...older, ...fetched].slice(-keep)
    const to = from + fetched.length
    const first = to - slots.length
    known = { from: first, to, slots, tally: tally(objective, first, slots) }
  }

  return {
    objective,
    async refresh(now) {
      // A clock set back asks again for minutes that are known; all of them are forgotten when it was far ahead.
      if (now <= known.from) known = { from: 0, to: 0, slots: [], tally: tally(objective, 0, []) }
      const overlap = Math.max(known.from, Math.min(known.to, now) - overlapMinutes)
      const from = read && known.to > 0 ? Math.max(overlap, now - keep) : now - keep
      try {
        merge(from, await source.slots(sli, from, now))
        read = true
      } catch (error) {
        const since = Math.min(known.to || now, now)
        merge(
          since,
          Array.from({ length: now - since }, (_, i) => ({
            start: since + i,
            good: 0,
            total: 0,
            unknown: true,
          })),
        )
        throw error
      }
    },
    known: () => known,
  }
}
