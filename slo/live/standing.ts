import { type AlertState, step } from '../alert.ts'
import { burnRate, fires } from '../burn-rate.ts'
import { complement, toNumber } from '../fraction.ts'
import { bad, type Tally, total, unknown } from '../sli.ts'
import type { Minute, Objective, Tier, TierName } from '../source/index.ts'

/** How a promise stands: of the window that ends at `at`, capped at the start of the promise. */
export type Standing = {
  at: Minute
  from: Minute
  /** Minutes or events. */
  good: number
  bad: number
  unknownMinutes: number
  /** What may be bad; for minutes it is of the whole window, for events of those there were. */
  budget: number
  budgetLeft: number
  /** When the budget is gone at the rate of the last hour; null when it is not used up within a window. */
  goneAt: Minute | null
  tiers: {
    name: TierName
    severity: 'page' | 'ticket'
    longMinutes: number
    shortMinutes: number
    factor: number
    burnLong: number
    burnShort: number
  }[]
}

const rateMinutes = 60

export function standing(objective: Objective, tally: Tally, start: Minute, at: Minute): Standing {
  const { windowMinutes, method, target, tiers } = objective
  const from = Math.max(start, at - windowMinutes)
  const counted = total(tally, from, at)
  const lost = bad(tally, from, at)
  const whole = method === 'Timeslices' ? windowMinutes : counted
  const budget = whole * toNumber(complement(target))
  const lostInRate = bad(tally, at - rateMinutes, at)
  const leftMinutes = lostInRate === 0 ? Infinity : ((budget - lost) / lostInRate) * rateMinutes
  return {
    at,
    from,
    good: counted - lost,
    bad: lost,
    unknownMinutes: unknown(tally, from, at),
    budget,
    budgetLeft: budget - lost,
    goneAt: leftMinutes < windowMinutes ? at + Math.max(0, Math.floor(leftMinutes)) : null,
    tiers: tiers.map(({ name, severity, longMinutes, shortMinutes, factor }) => ({
      name,
      severity,
      longMinutes,
      shortMinutes,
      factor,
      burnLong: burnRate(objective, tally, at, longMinutes),
      burnShort: burnRate(objective, tally, at, shortMinutes),
    })),
  }
}

/** One firing of a tier; `clears` is null while it lasts. */
export type Episode = {
  tier: TierName
  severity: 'page' | 'ticket'
  fires: Minute
  clears: Minute | null
  /** The part of the window's budget that was gone. */
  budgetUsedAtFire: number
}

/** Every firing at the minutes (from, to], each as the live alert saw it. */
export function episodes(objective: Objective, tally: Tally, from: Minute, to: Minute): Episode[] {
  return objective.tiers
    .flatMap(tier => episodesOf(objective, tier, tally, from, to))
    .sort((one, other) => one.fires - other.fires)
}

function episodesOf(objective: Objective, tier: Tier, tally: Tally, from: Minute, to: Minute): Episode[] {
  const found: Episode[] = []
  let state: AlertState = 'inactive'
  for (let at = from + 1; at <= to; at++) {
    const before = state
    state = step(state, fires(tier, tally, at), at, tier.shortMinutes)
    if (before === 'inactive' && state !== 'inactive') {
      const { budget, bad } = standing(objective, tally, tally.from, at)
      found.push({
        tier: tier.name,
        severity: tier.severity,
        fires: at,
        clears: null,
        budgetUsedAtFire: budget === 0 ? 0 : bad / budget,
      })
    }
    const last = found.at(-1)
    if (before !== 'inactive' && state === 'inactive' && last) last.clears = at
  }
  return found
}
