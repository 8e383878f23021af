import { backtest } from '../math/backtest.ts'
import { burnRate } from '../math/burn-rate.ts'
import { spanOf } from '../math/report.ts'
import { standing } from '../math/standing.ts'
import { windowAt } from '../math/window.ts'
import type { Minute, Tier } from '../sources/index.ts'
import type { RecordedObjective } from '../sources/recorded.ts'

type Seen = Omit<RecordedObjective, 'silentSince'> & Partial<Pick<RecordedObjective, 'silentSince'>>

/** One objective's state at a full minute. */
export type View = ReturnType<typeof viewOf>

/** `start`: when the SLO began. */
export function viewOf(recorded: Seen, start: Minute, at: Minute) {
  const { objective, tally, begun = at } = recorded
  const { windowMinutes, tiers, calendar, method } = objective
  const window = windowAt(objective, at)
  const now = standing(objective, tally, spanOf({ start, to: at }, recorded))
  // The budget of events grows with the events until a rolling window is full.
  const isGrowing = method === 'Occurrences' && (calendar !== null || begun > at - windowMinutes)
  const end = calendar ? window.from + window.nominalMinutes : at + windowMinutes
  /** When the budget is used up at the rate of the last minutes; null when it lasts until the window ends. */
  const goneAtRateOf = (minutes: number): Minute | null => {
    const last = standing(objective, tally, { from: at - minutes, to: at, nominalMinutes: minutes })
    const lost = last.bad - (isGrowing ? last.budget : 0)
    const goneAt = at + Math.max(0, Math.floor((now.budgetLeft / Math.max(0, lost)) * minutes))
    return goneAt < end ? goneAt : null
  }
  return {
    ...recorded,
    at,
    start,
    standing: now,
    goneAtRateOf,
    burns: tiers.map(tier => ({
      tier,
      long: burnRate(objective, tally, at, tier.longMinutes),
      short: burnRate(objective, tally, at, tier.shortMinutes),
    })),
    /** The firings of all tiers, the oldest first. `clears` is null while one lasts. */
    firings: backtest(objective, tally, tally.from, at)
      .flatMap(({ firings }, i) => firings.map(firing => ({ ...firing, tier: tiers[i] as Tier })))
      .sort((one, other) => one.fires - other.fires),
  }
}
