import { rounded } from '../sources/counter.ts'
import type { Minute, Objective, Slot } from '../sources/index.ts'
import { reaches } from './fraction.ts'

type Judging = Pick<Objective, 'method' | 'sliceTarget'>

/**
 * A slot as the objective counts it. Timeslices: a minute, good when enough of its events are, else bad, also without
 * data. Occurrences: its events. A part that is larger than the total is a wrong measurement, and counts as no data.
 */
export function judge({ method, sliceTarget }: Judging, slot: Slot): Slot {
  const { start, good, total } = slot
  const unknown = slot.unknown || total === 0 || isDoubtful(slot)
  if (method === 'Occurrences') return unknown ? { start, good: 0, total: 0, unknown } : slot
  return { start, good: !unknown && reaches(good, total, sliceTarget) ? 1 : 0, total: 1, unknown }
}

/** Whether more good or bad events than all events were counted. */
export const isDoubtful = ({ good, total }: Slot): boolean => good > total || good < 0

/** Running sums over judged slots, so that any window takes two subtractions. Outside of them nothing counts. */
export type Tally = ReturnType<typeof tally>

/** Sums an objective's slots, which must have no gaps: [from, from + slots.length). */
export function tally(objective: Judging, from: Minute, slots: readonly Slot[]) {
  const sums = () => new Float64Array(slots.length + 1)
  const result = { from, to: from + slots.length, bad: sums(), total: sums(), unknown: sums() }
  for (const [i, slot] of slots.entries()) {
    const { good, total, unknown } = judge(objective, slot)
    result.bad[i + 1] = (result.bad[i] ?? 0) + total - good
    result.total[i + 1] = (result.total[i] ?? 0) + total
    result.unknown[i + 1] = (result.unknown[i] ?? 0) + (unknown ? 1 : 0)
  }
  return result
}

const between =
  (sum: 'bad' | 'total' | 'unknown') =>
  (tally: Tally, from: Minute, to: Minute): number => {
    const at = (minute: Minute): number =>
      tally[sum][Math.min(Math.max(minute, tally.from), tally.to) - tally.from] ?? 0
    return rounded(at(to) - at(from))
  }

/** Bad slots or events of the minutes [from, to). */
export const bad = between('bad')
/** All slots or events of the minutes [from, to). */
export const total = between('total')
/** Minutes of [from, to) in which nothing was counted. */
export const unknown = between('unknown')
