import { backtest } from '../math/backtest.ts'
import { burnRate } from '../math/burn-rate.ts'
import { bad, tally } from '../math/sli.ts'
import { type Standing, spanAt, standing } from '../math/standing.ts'
import type { Minute, Objective, Tier } from '../sources/index.ts'
import { beginOf } from '../sources/recorded.ts'
import type { Known } from './history.ts'

/** One promise as it stands at a full minute. */
export type View = {
  objective: Objective
  at: Minute
  /** When the SLO began. */
  start: Minute
  known: Known
  standing: Standing
  /** When the budget is gone at the rate of the last hour; null when it is not used up within a window. */
  goneAt: Minute | null
  burns: { tier: Tier; long: number; short: number }[]
  /** Oldest first. */
  firings: Firing[]
}

/** One firing of a tier; `clears` is null while it lasts. */
export type Firing = { tier: Tier; fires: Minute; clears: Minute | null; budgetUsed: number }

const rateMinutes = 60

/** `start` is when the SLO began; an objective with a first minute of its own begins with that. Earlier minutes do not count. */
export function viewOf(objective: Objective, all: Known, start: Minute, at: Minute): View {
  const { windowMinutes, tiers } = objective
  const from = beginOf(objective, all.begun ?? start, all.from)
  const slots = all.slots.slice(from - all.from)
  const known: Known = { from, to: all.to, slots, tally: tally(objective, from, slots) }
  const stand = (to: Minute) => {
    const span = spanAt(objective, to)
    return standing(objective, known.tally, { ...span, from: Math.max(from, span.from) })
  }
  const now = stand(at)
  const lost = bad(known.tally, at - rateMinutes, at)
  const leftMinutes = lost === 0 ? Infinity : (now.budgetLeft / lost) * rateMinutes
  const used = (to: Minute) => {
    const { bad, budget } = stand(to)
    return budget === 0 ? 0 : bad / budget
  }
  return {
    objective,
    at,
    start,
    known,
    standing: now,
    goneAt: leftMinutes < windowMinutes ? at + Math.max(0, Math.floor(leftMinutes)) : null,
    burns: tiers.map(tier => ({
      tier,
      long: burnRate(objective, known.tally, at, tier.longMinutes),
      short: burnRate(objective, known.tally, at, tier.shortMinutes),
    })),
    firings: backtest(objective, known.tally, from, at)
      .flatMap(({ tier, firings }) =>
        firings.map(firing => ({
          ...firing,
          tier: tiers.find(({ name }) => name === tier) as Tier,
          budgetUsed: used(firing.fires),
        })),
      )
      .sort((one, other) => one.fires - other.fires),
  }
}
