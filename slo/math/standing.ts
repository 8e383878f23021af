import type { Objective } from '../sources/index.ts'
import { allowedBad, complement, reaches, toNumber } from './fraction.ts'
import { bad, type Tally, total, unknown } from './sli.ts'
import type { MinuteSpan } from './window.ts'

export type Standing = ReturnType<typeof standing>

/** The state of an objective's budget, in slots for Timeslices and events for Occurrences. */
export function standing(objective: Objective, tally: Tally, span: MinuteSpan) {
  const { from, to, nominalMinutes } = span
  const [badCount, totalCount] = [bad(tally, from, to), total(tally, from, to)]
  const whole = objective.method === 'Timeslices' ? nominalMinutes : totalCount
  const budget = allowedBad(objective.target, whole)
  return {
    objective,
    span,
    good: totalCount - badCount,
    bad: badCount,
    /** Minutes without data, which for Timeslices are included in `bad`. */
    unknown: unknown(tally, from, to),
    /** Null when nothing was counted. */
    ratio: totalCount === 0 ? null : (totalCount - badCount) / totalCount,
    /** How many slots of the nominal window, or of the counted events, may be bad. */
    budget,
    budgetLeft: budget - badCount,
    broken: badCount > 0 && reaches(badCount, whole, complement(objective.target)) && badCount > budget,
  }
}

/** The remaining share of the budget: 1 when nothing is used; below 0 the objective is broken. */
export const budgetLeftRatio = ({ budget, budgetLeft }: Standing): number =>
  budget === 0 ? 1 : budgetLeft / budget

/** Rounded for people and JSON; never -0. */
export const round = (value: number, digits: number): number => Number(value.toFixed(digits)) + 0

/** A share in percent with two decimal places, rounded down: what is below a target must not look like it. */
export const percentDown = (share: number): string =>
  // 0.57 × 10,000 is 5,699.999…
  `${Math.floor(share * 10_000 + 1e-6) / 100} %`

/**
 * Decimal places of a ratio (a percentage has two fewer), so that a value below the target is not rounded up to it: one
 * more than the target has nines.
 */
export const digitsOf = ({ target }: Pick<Objective, 'target'>): number =>
  Math.max(5, 1 + Math.ceil(-Math.log10(toNumber(complement(target))) - 1e-9))

export function standingJson(standing: Standing): Record<string, number | null> {
  const { objective, good, bad, unknown, ratio, budget, budgetLeft } = standing
  const target = round(toNumber(objective.target), digitsOf(objective) + 1)
  const rounded = ratio === null ? null : round(ratio, digitsOf(objective))
  if (objective.method === 'Timeslices') {
    const left = { budgetMinutes: round(budget, 3), budgetLeftMinutes: round(budgetLeft, 3) }
    return { objective: target, online: good, offline: bad, unknown, ratio: rounded, ...left }
  }
  // A counter may count seconds, whose sums have rounding errors.
  const counts = { kept: round(good, 6), broken: round(bad, 6) }
  return { objective: target, ...counts, ratio: rounded, budgetLeft: round(budgetLeftRatio(standing), 3) }
}
