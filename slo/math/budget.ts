import type { Minute, Objective, Slot } from '../sources/index.ts'
import { allowedBad } from './fraction.ts'
import type { Planned } from './planned.ts'
import { bad, type Tally, tally } from './sli.ts'
import { longestWindowMinutes, type MinuteSpan, windowAt } from './window.ts'

type Maintenance = { from: Minute; minutes: number }

/**
 * Whether a maintenance fits into the budget besides offline and planned minutes, if nothing else goes offline. Linear
 * in the window's length.
 */
export function fits(objective: Objective, known: Tally, planned: readonly Planned[], asked: Maintenance) {
  const { from, minutes } = asked
  const budgetOf = (window: MinuteSpan) => allowedBad(objective.target, window.nominalMinutes)
  const [end, longest] = [from + minutes, longestWindowMinutes(objective)]
  const [first, last] = [from - longest, end + longest]
  const online: Slot = { start: first, good: 1, total: 1, unknown: false }
  const offline = { ...online, good: 0 }
  const isBad = (minute: Minute): boolean => bad(known, minute, minute + 1) > 0
  const slots = Array.from({ length: last - first }, (_, i) => (isBad(first + i) ? offline : online))
  // What is planned counts only in minutes that are not known yet.
  const inside = (minute: Minute): number => Math.min(Math.max(minute, first, known.to), last) - first
  for (const each of [...planned, { from, to: end }]) slots.fill(offline, inside(each.from), inside(each.to))
  const expected = tally(objective, first, slots)
  let leftAfter = Infinity
  // A calendar window may end during the maintenance. In a rolling one, minutes offline before its end may have left by
  // then.
  for (let at = objective.calendar ? from + 1 : end; at <= last; at++) {
    const window = windowAt(objective, at)
    if (window.from >= end) break
    leftAfter = Math.min(leftAfter, budgetOf(window) - bad(expected, window.from, at))
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
