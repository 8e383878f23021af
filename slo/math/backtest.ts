import type { Minute, Objective, Tier } from '../sources/index.ts'
import { fires } from './burn-rate.ts'
import type { Tally } from './sli.ts'
import { round, standing } from './standing.ts'
import { windowAt } from './window.ts'

export type Timeline = ReturnType<typeof backtest>[number]

/**
 * The firings of an objective's alerts in [from, to], evaluated at the end of every minute from the tally's first bad
 * minute. `budgetUsed` is the used share of the window's budget when an alert fired, and `budgetUsedAtFire` that of the
 * first firing; null when the alert never fired.
 */
export function backtest(objective: Objective, tally: Tally, from: Minute, to: Minute) {
  const usedAt = (at: Minute): number => {
    const { bad, budget } = standing(objective, tally, windowAt(objective, at))
    return round(bad / budget, 4)
  }
  return objective.tiers.map(tier => {
    const firings = replay(objective, tier, tally, to)
      .filter(({ clears }) => clears === null || clears > from)
      .map(firing => ({ ...firing, budgetUsed: usedAt(firing.fires) }))
    const budgetUsedAtFire = firings[0]?.budgetUsed ?? null
    return { objective: objective.id, tier: tier.name, firings, budgetUsedAtFire }
  })
}

/**
 * An alert ends when its condition was false for the short window (Prometheus' `keep_firing_for`). Otherwise an
 * alternation of 2 minutes up and 2 down would send messages without end.
 */
function replay(objective: Objective, tier: Tier, tally: Tally, to: Minute) {
  /** `clears` is null while the alert fires. */
  const firings: { fires: Minute; clears: Minute | null }[] = []
  let lastTrue = -Infinity
  const firstBad = tally.bad.findIndex(sum => sum > 0)
  for (let at = firstBad === -1 ? to + 1 : tally.from + firstBad; at <= to; at++) {
    const last = firings.at(-1)
    const isFiring = last?.clears === null
    if (fires(objective, tier, tally, at)) {
      if (!isFiring) firings.push({ fires: at, clears: null })
      lastTrue = at
    } else if (isFiring && at - lastTrue > tier.shortMinutes) last.clears = at
  }
  return firings
}
