import type { Minute, Objective } from '../sources/index.ts'
import { complement } from './fraction.ts'
import type { Planned } from './planned.ts'
import { bad, type Tally } from './sli.ts'
import { longestWindowMinutes, windowAt } from './window.ts'

type Maintenance = { from: Minute; minutes: number }

/**
 * Whether a maintenance fits into the budget besides offline and planned minutes, if nothing else goes offline. Linear
 * in the window's length.
 */
export function fits(objective: Objective, tally: Tally, planned: readonly Planned[], asked: Maintenance) {
  const { from, minutes } = asked
  const { numerator, denominator } = complement(objective.target)
  const budgetOf = (window: { nominalMinutes: number }) => (window.nominalMinutes * numerator) / denominator
  const [end, longest] = [from + minutes, longestWindowMinutes(objective)]
  const [first, last] = [from - longest, end + longest]
  /** For each minute of [first, last): 1 if it was offline, or if it is later and planned. `offline` are its sums. */
  const isOffline = Uint8Array.from({ length: last - first }, (_, i) =>
    bad(tally, first + i, first + i + 1) > 0 ? 1 : 0,
  )
  const inside = (minute: Minute): number => Math.min(Math.max(minute, first, tally.to), last) - first
  for (const each of [...planned, { from, to: end }]) isOffline.fill(1, inside(each.from), inside(each.to))
  const offline = new Float64Array(isOffline.length + 1)
  for (const [i, minute] of isOffline.entries()) offline[i + 1] = (offline[i] as number) + minute
  let leftAfter = Infinity
  // A calendar window may end during the maintenance. In a rolling one, minutes offline before its end may have left by
  // then.
  for (let at = objective.calendar ? from + 1 : end; at <= last; at++) {
    const window = windowAt(objective, at)
    if (window.from >= end) break
    const lost = (offline[at - first] as number) - (offline[window.from - first] as number)
    leftAfter = Math.min(leftAfter, budgetOf(window) - lost)
  }
  return {
    fits: leftAfter >= 0,
    /** The smallest remaining budget in minutes, from the end of the maintenance until it leaves the window. */
    leftAfter,
    budgetMinutes: budgetOf(windowAt(objective, from + 1)),
  }
}

/**
 * Like `fits`, for several objectives (at least one): a maintenance uses the budget of each. Many objectives with long
 * windows take seconds, so it pauses after each.
 */
export async function tightestFit(
  counted: readonly { objective: Objective; tally: Tally }[],
  planned: readonly Planned[],
  maintenance: Maintenance,
  pause: () => Promise<unknown> = async () => {},
) {
  const all = []
  for (const { objective, tally } of counted) {
    all.push(fits(objective, tally, planned, maintenance))
    await pause()
  }
  return all.reduce((one, other) => (one.leftAfter <= other.leftAfter ? one : other))
}
