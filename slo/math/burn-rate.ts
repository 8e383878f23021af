import type { Minute, Objective, Tier, TierName } from '../sources/index.ts'
import { complement, fraction, multiply, reaches, toNumber } from './fraction.ts'
import { bad, type Tally, total } from './sli.ts'

/** Minimum slots of the short window: in fewer one bad slot would be the whole window. */
export const minimumShortSlots = 2

/** Maximum of the short window: with a longer one an alert would fire for hours after the recovery. */
export const maxShortMinutes = 30

/** Of each tier: window ÷ long window, and the percentage of the budget that may be used when it fires. */
type Plan = readonly (readonly [name: TierName, part: number, percent: number])[]
const shortPlan: Plan = [
  ['page-fast', 96, 10],
  ['page-slow', 24, 20],
  ['ticket-fast', 8, 30],
  ['ticket-slow', 4, 30],
]
/** SRE workbook, chapter 5, table 5-8: for 30 days 1 h, 6 h, 1 d and 3 d, with factors of 14.4, 6, 3 and 1. */
const longPlan: Plan = [
  ['page-fast', 720, 2],
  ['page-slow', 120, 5],
  ['ticket-fast', 30, 10],
  ['ticket-slow', 10, 10],
]
const longPlanMinutes = 14 * 1440

export type TierPlan = Pick<Tier, 'name' | 'longMinutes' | 'shortMinutes' | 'share'>
type Planning = Pick<Objective, 'method' | 'target' | 'windowMinutes' | 'minimumBad'>

/**
 * The tiers' windows for any objective window; for one day 15m/2m, 1h/5m, 3h/15m and 6h/30m. The short window is a
 * twelfth of the long one (SRE workbook, ch. 5), 30 minutes at most. Tiers with an equal long window are left out.
 */
export function planTiers(windowMinutes: number): TierPlan[] {
  const plan = windowMinutes < longPlanMinutes ? shortPlan : longPlan
  const plans = plan.map(([name, part, percent]) => {
    const longMinutes = Math.max(2 * minimumShortSlots, Math.floor(windowMinutes / part))
    const twelfth = Math.round(longMinutes / 12)
    const shortMinutes = Math.min(maxShortMinutes, Math.max(minimumShortSlots, twelfth))
    return { name, share: fraction(percent, 100), longMinutes, shortMinutes }
  })
  return plans.filter((each, i) => each.longMinutes !== plans[i - 1]?.longMinutes)
}

/** The burn alerts of an objective. factor = share × window ÷ long window. */
export function tiers(objective: Planning, plans = planTiers(objective.windowMinutes)): Tier[] {
  return plans.map(each => {
    const severity = each.name.startsWith('page') ? 'page' : 'ticket'
    const factor = multiply(each.share, fraction(objective.windowMinutes, each.longMinutes))
    return {
      ...each,
      severity,
      factor: toNumber(factor),
      threshold: multiply(factor, complement(objective.target)),
      minimumBad: objective.minimumBad[severity],
    }
  })
}

/** Whether a tier's condition holds at the start of minute `at`, from the slots before it. */
export function fires(objective: Objective, tier: Tier, tally: Tally, at: Minute): boolean {
  const { longMinutes, shortMinutes, minimumBad } = tier
  const inBoth = [longMinutes, shortMinutes].every(minutes => burns(objective, tier, tally, at, minutes))
  return inBoth && bad(tally, at - longMinutes, at) >= minimumBad
}

/** Whether the last minutes reach a tier's factor, compared as integers. 0 of 0 is no burn. */
function burns(objective: Objective, tier: Tier, tally: Tally, at: Minute, minutes: number): boolean {
  const part = bad(tally, at - minutes, at)
  return part > 0 && reaches(part, whole(objective, tally, at, minutes), tier.threshold)
}

/** The denominator of a bad ratio: the nominal minutes, where those before the begin are good, or the events. */
const whole = ({ method }: Objective, tally: Tally, at: Minute, minutes: number): number =>
  method === 'Timeslices' ? minutes : total(tally, at - minutes, at)

/** The burn rate: 1 uses up the budget exactly at the end of the window. */
export function burnRate(objective: Objective, tally: Tally, at: Minute, minutes: number): number {
  const events = whole(objective, tally, at, minutes)
  return events === 0 ? 0 : bad(tally, at - minutes, at) / events / toNumber(complement(objective.target))
}

/** Whether a budget begins to burn at the start of minute `at`: the short window of a tier has reached its factor. */
export const isBurning = ({ objective, tally }: { objective: Objective; tally: Tally }, at: Minute) =>
  objective.tiers.some(tier => burns(objective, tier, tally, at, tier.shortMinutes))
