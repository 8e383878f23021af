import type { Minute, Objective } from '../sources/index.ts'
import { complement, toNumber } from './fraction.ts'
import type { Planned } from './planned.ts'
import { bad, type Tally } from './sli.ts'
import { longestWindowMinutes, windowAt } from './window.ts'

type Maintenance = { from: Minute; minutes: number }

/**
 * Whether a maintenance fits beside what was offline and what is announced, if nothing else goes offline. Linear in the
 * window.
 */
export function fits(
  objective: Objective,
  tally: Tally,
  planned: readonly Planned[],
  { from, minutes }: Maintenance,
) {
  const allowed = toNumber(complement(objective.target))
  const longest = longestWindowMinutes(objective)
  const first = from - longest
  const offline = offlineSums(tally, planned, first, from + 3 * longest + minutes)
  const between = (begin: Minute, end: Minute): number =>
    (offline[end - first] as number) - (offline[begin - first] as number)
  /** Offline minutes beyond the budget of the window that ends at a minute, without the maintenance. */
  const excess = (at: Minute): number => {
    const window = windowAt(objective, at)
    return between(window.from, at) - window.nominalMinutes * allowed
  }
  const worst = slidingMaximum(excess)
  const added = (begin: Minute, end: Minute): number => end - begin - between(begin, end)
  /** The worst minute is between the end of the maintenance and the minute before it begins to leave the window. */
  const excessWith = (start: Minute): number => {
    const [end, inWindow] = [start + minutes, lastAt(objective, start)]
    if (end <= inWindow) return worst(end, inWindow) + added(start, end)
    const rest = worst(end, Math.max(end, lastAt(objective, inWindow))) + added(inWindow, end)
    return Math.max(excess(inWindow) + added(start, inWindow), rest)
  }
  const leftAfter = 0 - excessWith(from)
  let earliest: Minute | null = leftAfter >= 0 ? from : null
  for (let start = from + 1; start < from + longest && earliest === null; start++)
    if (excessWith(start) <= 0) earliest = start
  return {
    fits: leftAfter >= 0,
    /** The least that would be left of the budget, in minutes, from the end of the maintenance until it leaves the window. */
    leftAfter,
    budgetMinutes: windowAt(objective, from + 1).nominalMinutes * allowed,
    /** The first start from `from` on at which it fits; null when there is none within a window. */
    earliest,
  }
}

type Counted = { objective: Objective; tally: Tally }

/**
 * The same for several objectives, at least one, with a pause after each: a maintenance takes its minutes from the
 * budget of each.
 */
export async function fitsAll(
  counted: readonly Counted[],
  planned: readonly Planned[],
  maintenance: Maintenance,
  pause = async () => {},
) {
  const fitsFrom = async (i: number, from: Minute) => {
    const { objective, tally } = counted[i] as Counted
    await pause()
    return fits(objective, tally, planned, { ...maintenance, from })
  }
  const all = []
  for (const i of counted.keys()) all.push(await fitsFrom(i, maintenance.from))
  const tightest = all.reduce((one, other) => (one.leftAfter <= other.leftAfter ? one : other))
  const end = maintenance.from + Math.max(...counted.map(({ objective }) => longestWindowMinutes(objective)))
  let earliest = Math.max(...all.map(each => each.earliest ?? Infinity))
  // The later start that one of them needs may not suit another. Calendars may never agree: none is searched beyond a
  // window.
  let agreed = tightest.fits ? counted.length : 0
  for (let i = 0; agreed < counted.length && earliest < end; i++) {
    const next = (await fitsFrom(i % counted.length, earliest)).earliest ?? Infinity
    agreed = next === earliest ? agreed + 1 : 1
    earliest = next
  }
  return { ...tightest, earliest: agreed === counted.length ? earliest : null }
}

/** The last minute whose window holds the one that begins at `start`. */
function lastAt(objective: Objective, start: Minute): Minute {
  if (objective.calendar === null) return start + objective.windowMinutes
  const { from, nominalMinutes } = windowAt(objective, start + 1)
  return from + nominalMinutes
}

/** Running sums over [from, to): minutes that were offline, and later minutes that are announced, each counted once. */
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

/** The largest value in [begin, end]. Neither bound may decrease between calls, so each value is computed once. */
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
