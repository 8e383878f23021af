import { isBurning } from '../math/burn-rate.ts'
import { bad } from '../math/sli.ts'
import { toMinute } from '../math/time.ts'
import type { Minute, Objective, Source } from '../sources/index.ts'
import { type RecordedObjective, readRecorded } from '../sources/recorded.ts'

export type Burning = Awaited<ReturnType<typeof readBurning>>

/**
 * Reads the spans of the days before a time in which budgets burned, each from its first bad minute, and the objectives
 * whose budget burns now (`isBurning`).
 * The current minute counts with its samples so far. @throws SourceError when no objective that has begun can be read.
 */
export async function readBurning(source: Source, all: readonly Objective[], atMs: number, days: number) {
  const to = toMinute(atMs)
  const longest = Math.max(0, ...all.flatMap(({ tiers }) => tiers.map(({ shortMinutes }) => shortMinutes)))
  const from = to - days * 1440 - longest
  const recorded = await readRecorded(source, all, { from, to: to + 1 })
  if (!recorded) return { incidents: [], now: [] }
  const { start, objectives } = recorded
  const isKnown = ({ slots }: RecordedObjective) => slots.at(-1)?.start === to && Boolean(slots.at(-1)?.total)
  const burnsAt = (minute: Minute) =>
    objectives.filter(
      each => isBurning(each, minute) || (minute === to && isKnown(each) && isBurning(each, to + 1)),
    )
  const firstBad = (minute: Minute): Minute => {
    for (let first = minute - longest; first < minute; first++)
      if (objectives.some(({ tally }) => bad(tally, first, first + 1) > 0)) return first
    return minute
  }
  const incidents: { from: Minute; to: Minute }[] = []
  for (let minute = start + 1; minute <= to; minute++) {
    if (burnsAt(minute).length === 0) continue
    const last = incidents.at(-1)
    if (last?.to === minute - 1) last.to = minute
    else incidents.push({ from: firstBad(minute), to: minute })
  }
  const endOf = (minute: Minute) => (minute === to ? Infinity : minute * 60_000)
  return {
    incidents: incidents.map(each => ({ fromMs: each.from * 60_000, toMs: endOf(each.to) })),
    now: burnsAt(to).map(({ objective }) => objective.id),
  }
}
