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

const rateMinutes = 60

/** `start`: when the SLO began. */
export function viewOf(recorded: Seen, start: Minute, at: Minute) {
  const { objective, tally, begun = at } = recorded
  const { windowMinutes, tiers, calendar, method } = objective
  const window = windowAt(objective, at)
  const now = standing(objective, tally, spanOf({ start, to: at }, recorded))
  const hour = standing(objective, tally, { from: at - rateMinutes, to: at, nominalMinutes: rateMinutes })
  // The budget of events grows with the events until a rolling window is full.
  const isGrowing = method === 'Occurrences' && (calendar !== null || begun > at - windowMinutes)
  const lost = hour.bad - (isGrowing ? hour.budget : 0)
  const goneAt = at + Math.max(0, Math.floor((now.budgetLeft / Math.max(0, lost)) * rateMinutes))
  const end = calendar ? window.from + window.nominalMinutes : at + windowMinutes
  return {
    ...recorded,
    at,
    start,
    standing: now,
    /** When the budget is used up at the rate of the last hour; null when it lasts until the window ends. */
    goneAt: goneAt < end ? goneAt : null,
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
