import { burnRate } from '../math/burn-rate.ts'
import { bad } from '../math/sli.ts'
import { toMinute } from '../math/time.ts'
import type { Minute, Objective, Source } from '../sources/index.ts'
import { longestMinutes, type Recorded, readRecorded } from '../sources/recorded.ts'
import type { Span } from './evaluate.ts'

/** When budgets burned. */
export type Burning = {
  /** Stretches in which a budget burned, oldest first, each from its first bad minute; one that lasts has no end. */
  incidents: readonly Span[]
  /** Names of the objectives whose budget burns now. */
  now: readonly string[]
}

/** Reads when budgets burned in the days before a time. */
export async function readBurning(
  source: Source,
  objectives: readonly Objective[],
  atMs: number,
  days: number,
): Promise<Burning> {
  const to = toMinute(atMs)
  const from = to - days * 1440 - longestMinutes(objectives)
  const recorded = objectives.length > 0 ? await readRecorded(source, objectives, { from, to }) : undefined
  return recorded ? burningOf(recorded) : { incidents: [], now: [] }
}

/** A budget burns when a short window is as bad as the one that its tier alerts on; then a verdict is asked for. */
export function burningOf({ start, to, objectives }: Recorded): Burning {
  const burnsAt = (minute: Minute) =>
    objectives.filter(({ objective, tally }) =>
      objective.tiers.some(
        ({ shortMinutes, factor }) => burnRate(objective, tally, minute, shortMinutes) >= factor,
      ),
    )
  const incidents: { from: Minute; to: Minute }[] = []
  for (let minute = start + 1; minute <= to; minute++) {
    if (burnsAt(minute).length === 0) continue
    const last = incidents.at(-1)
    if (last?.to === minute - 1) last.to = minute
    else incidents.push({ from: firstBad(objectives, minute), to: minute })
  }
  const now = burnsAt(to).map(({ objective }) => objective.id)
  const endOf = (minute: Minute) => (minute === to ? Number.POSITIVE_INFINITY : minute * 60_000)
  return {
    incidents: incidents.map(each => ({ fromMs: each.from * 60_000, toMs: endOf(each.to) })),
    now,
  }
}

/** The first bad minute of those that made a budget burn. */
function firstBad(objectives: Recorded['objectives'], minute: Minute): Minute {
  const longest = Math.max(
    ...objectives.flatMap(({ objective }) => objective.tiers.map(({ shortMinutes }) => shortMinutes)),
  )
  for (let from = minute - longest; from < minute; from++)
    if (objectives.some(({ tally }) => bad(tally, from, from + 1) > 0)) return from
  return minute - 1
}
