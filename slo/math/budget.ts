import type { Minute, Objective } from '../sources/index.ts'
import { complement, toNumber } from './fraction.ts'
import type { Planned } from './planned.ts'
import { bad, type Tally } from './sli.ts'

export type Fit = {
  fits: boolean
  /** What would be left of the budget when the maintenance is over, in minutes. */
  leftAfter: number
  budgetMinutes: number
  /** The first start from `from` on at which it fits; null when there is none within a window. */
  earliest: Minute | null
}

type Maintenance = { from: Minute; minutes: number }

/**
 * Whether a maintenance fits into what is left: at its end, what was offline within the window, what else is
 * planned until then, and the maintenance itself. Nothing unforeseen is assumed.
 */
export function fits(
  objective: Objective,
  tally: Tally,
  planned: readonly Planned[],
  { from, minutes }: Maintenance,
): Fit {
  const { windowMinutes, target } = objective
  const budgetMinutes = windowMinutes * toNumber(complement(target))
  const leftAfter = (start: Minute): number => {
    const end = start + minutes
    const begin = end - windowMinutes
    return (
      budgetMinutes - bad(tally, begin, end) - announced(planned, Math.max(begin, tally.to), start) - minutes
    )
  }
  const starts = Array.from({ length: windowMinutes }, (_, i) => from + i)
  const left = leftAfter(from)
  return {
    fits: left >= 0,
    leftAfter: left,
    budgetMinutes,
    earliest: starts.find(start => leftAfter(start) >= 0) ?? null,
  }
}

/** Minutes of [from, to) that others have announced, each once. */
function announced(planned: readonly Planned[], from: Minute, to: Minute): number {
  let count = 0
  for (let minute = from; minute < to; minute++)
    if (planned.some(each => minute >= each.from && minute < each.to)) count++
  return count
}
