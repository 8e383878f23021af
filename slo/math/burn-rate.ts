import type { Minute, Objective, Tier, TierName } from '../sources/index.ts'
import { complement, type Fraction, fraction, multiply, reaches, toNumber } from './fraction.ts'
import type { Tally } from './sli.ts'
import { bad, total } from './sli.ts'

/** Fewer slots than this and one bad slot is the whole window. */
export const minimumShortSlots = 2

/** Long window as a part of the whole, and the part of the budget that may be gone when the tier fires. */
const plan: readonly { name: TierName; part: number; share: Fraction }[] = [
  { name: 'page-fast', part: 96, share: fraction(10, 100) },
  { name: 'page-slow', part: 24, share: fraction(20, 100) },
  { name: 'ticket-fast', part: 8, share: fraction(30, 100) },
  { name: 'ticket-slow', part: 4, share: fraction(30, 100) },
]

/** What an objective says of its tiers; the rest follows from it. */
export type TierPlan = Pick<Tier, 'name' | 'longMinutes' | 'shortMinutes' | 'share'>
type Promised = Pick<Objective, 'method' | 'target' | 'windowMinutes' | 'minimumBad'>

/**
 * The windows for any objective window: for one day 15m/2m, 1h/5m, 3h/15m and 6h/30m. The short window is a
 * twelfth of the long one (SRE workbook, ch. 5). A tier whose long window would be that of another is left out.
 */
export function planTiers(windowMinutes: number): TierPlan[] {
  const plans = plan.map(({ name, part, share }) => {
    const longMinutes = Math.max(2 * minimumShortSlots, Math.round(windowMinutes / part))
    return {
      name,
      share,
      longMinutes,
      shortMinutes: Math.max(minimumShortSlots, Math.round(longMinutes / 12)),
    }
  })
  return plans.filter((each, i) => each.longMinutes !== plans[i - 1]?.longMinutes)
}

/** The burn alerts of an objective, with factor = share × window ÷ long window. */
export function tiers(promised: Promised, plans = planTiers(promised.windowMinutes)): Tier[] {
  return plans.map(each => {
    const severity = each.name.startsWith('page') ? 'page' : 'ticket'
    const factor = multiply(each.share, fraction(promised.windowMinutes, each.longMinutes))
    return {
      ...each,
      severity,
      factor: toNumber(factor),
      threshold: multiply(factor, complement(promised.target)),
      of: promised.method === 'Timeslices' ? 'nominal' : 'events',
      minimumBad: promised.minimumBad[severity],
    }
  })
}

/** Whether a tier's condition holds at the start of minute `at`, of the slots before it. 0 of 0 is no burn. */
export function fires(tier: Tier, tally: Tally, at: Minute): boolean {
  return (
    bad(tally, at - tier.longMinutes, at) >= tier.minimumBad &&
    [tier.longMinutes, tier.shortMinutes].every(minutes => burns(tier, tally, at, minutes))
  )
}

function burns(tier: Tier, tally: Tally, at: Minute, minutes: number): boolean {
  const part = bad(tally, at - minutes, at)
  return part > 0 && reaches(part, whole(tier.of, tally, at, minutes), tier.threshold)
}

const whole = (of: Tier['of'], tally: Tally, at: Minute, minutes: number): number =>
  of === 'nominal' ? minutes : total(tally, at - minutes, at)

/** How many times faster than the budget allows: 1 uses it up exactly at the end of the window. */
export function burnRate(objective: Objective, tally: Tally, at: Minute, minutes: number): number {
  const of = objective.method === 'Timeslices' ? 'nominal' : 'events'
  const events = whole(of, tally, at, minutes)
  return events === 0 ? 0 : bad(tally, at - minutes, at) / events / toNumber(complement(objective.target))
}
