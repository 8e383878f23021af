import type { Minute, Objective } from '../sources/index.ts'
import { complement, toNumber } from './fraction.ts'
import type { Planned } from './planned.ts'
import { bad, type Tally } from './sli.ts'

export type Fit = {
  fits: boolean
  /** The least that would be left of the budget, in minutes, from the end of the maintenance until it leaves the window. */
  leftAfter: number
  budgetMinutes: number
  /** The first start from `from` on at which it fits; null when there is none within a window. */
  earliest: Minute | null
}

type Maintenance = { from: Minute; minutes: number }

/**
 * Whether a maintenance fits into what is left: beside what was offline, and what is announced before and after it, at each
 * minute whose window it is in. Nothing unforeseen is assumed. Linear in the window.
 */
export function fits(
  { windowMinutes, target }: Objective,
  tally: Tally,
  planned: readonly Planned[],
  { from, minutes }: Maintenance,
): Fit {
  const budgetMinutes = windowMinutes * toNumber(complement(target))
  const first = from - windowMinutes
  const offline = offlineSums(tally, planned, first, from + 2 * windowMinutes + minutes)
  const between = (begin: Minute, end: Minute): number =>
    (offline[end - first] as number) - (offline[begin - first] as number)
  const worst = slidingMaximum(end => between(end - windowMinutes, end))
  let [left, earliest]: [number | undefined, Minute | null] = [undefined, null]
  for (let start = from; start < from + windowMinutes && earliest === null; start++) {
    const end = start + minutes
    // While it runs each minute adds to what is lost, and while it leaves the window each minute takes away: neither is the worst.
    const lost = worst(end, Math.max(end, start + windowMinutes)) + minutes - between(start, end)
    left ??= budgetMinutes - lost
    if (lost <= budgetMinutes) earliest = start
  }
  const leftAfter = left ?? 0
  return { fits: leftAfter >= 0, leftAfter, budgetMinutes, earliest }
}

/** Running sums over the minutes [from, to) that were offline or, as far as they are to come, are announced; each once. */
function offlineSums(tally: Tally, planned: readonly Planned[], from: Minute, to: Minute): Float64Array {
  const announced = new Int32Array(to - from + 1)
  const inside = (minute: Minute): number => Math.min(Math.max(minute, from, tally.to), to) - from
  for (const each of planned) {
    announced[inside(each.from)] = (announced[inside(each.from)] as number) + 1
    announced[inside(each.to)] = (announced[inside(each.to)] as number) - 1
  }
  const sums = new Float64Array(to - from + 1)
  let atOnce = 0
  for (let i = 0; i < to - from; i++) {
    atOnce += announced[i] as number
    const isOffline = bad(tally, from + i, from + i + 1) > 0 || atOnce > 0
    sums[i + 1] = (sums[i] as number) + (isOffline ? 1 : 0)
  }
  return sums
}

/** The largest value in [begin, end], where neither bound ever goes back: each value is looked at once. */
function slidingMaximum(valueAt: (minute: Minute) => number): (begin: Minute, end: Minute) => number {
  const falling: { minute: Minute; value: number }[] = []
  let head = 0
  let next: Minute | undefined
  return (begin, end) => {
    for (next ??= begin; next <= end; next++) {
      const value = valueAt(next)
      while (falling.length > head && (falling.at(-1)?.value as number) <= value) falling.pop()
      falling.push({ minute: next, value })
    }
    while ((falling[head]?.minute as Minute) < begin) head++
    return falling[head]?.value as number
  }
}
