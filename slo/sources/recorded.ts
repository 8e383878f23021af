import { type Tally, tally } from '../math/sli.ts'
import { longestWindowMinutes } from '../math/window.ts'
import { grouped } from './groups.ts'
import type { Minute, Objective, Slot, Source } from './index.ts'

/** What a source holds of the objectives from the start of the SLO, or from the first minute asked for. */
export type Recorded = {
  /** The first minute that counts; before it there was no objective. */
  start: Minute
  to: Minute
  objectives: RecordedObjective[]
}

/** The minutes of an objective from the first one that counts, without holes. */
export type RecordedObjective = { objective: Objective; slots: readonly Slot[]; tally: Tally }

type Period = {
  from: Minute
  to: Minute
  /** When the SLO starts, whatever was counted before. */
  since?: Minute | undefined
  /** When it is known to have begun; called after the minutes were read. */
  begun?: () => Minute | undefined
  /** The first minute that is read of an objective; default: `from`. */
  fromOf?: (objective: Objective) => Minute
}

/**
 * Reads the minutes [from, to) of all objectives. The SLO starts with `since`, else with the first minute of
 * a Timeslices objective, else with the first event of any; undefined when nothing was ever counted.
 */
export async function readRecorded(
  source: Source,
  objectives: readonly Objective[],
  { from, to, since, begun, fromOf = () => from }: Period,
): Promise<Recorded | undefined> {
  const known = await grouped(source, objectives, from, to)
  const reads = known.map(async (objective): Promise<Read> => {
    const own = fromOf(objective)
    return { objective, from: own, slots: await source.slots(objective.sli, own, to) }
  })
  const read = await Promise.all(reads)
  const given = since ?? begun?.()
  const start = given === undefined ? await startOf(source, read) : Math.max(given, from)
  if (start === undefined || start >= to) return undefined
  const all = read.map(async each => {
    const { objective, slots } = each
    const own = since === undefined ? await startOf(source, [each]) : undefined
    // A group that never counted anything has not begun: the generated rules record nothing of it either.
    const hasBegun = own !== undefined || since !== undefined || objective.group === null
    const begin = hasBegun ? (own ?? start) : to
    // A minute without data is bad only after the SLO began; an event counts also before that.
    const first = objective.method === 'Timeslices' ? Math.max(begin, each.from) : each.from
    const counted = slots.slice(first - each.from)
    return { objective, slots: counted, tally: tally(objective, first, counted) }
  })
  return { start, to, objectives: await Promise.all(all) }
}

type Read = { objective: Objective; from: Minute; slots: readonly Slot[] }

/** When the SLO began, of what was read. */
async function startOf(source: Source, read: readonly Read[]): Promise<Minute | undefined> {
  const probesFirst = read.toSorted((a, b) => rank(a) - rank(b))
  for (const { objective, from, slots } of probesFirst) {
    const first = slots.find(({ unknown }) => !unknown)?.start
    if (first === from || (await source.seenBefore(objective.sli, from))) return from
    if (first !== undefined) return first
  }
  return undefined
}

const rank = ({ objective }: Read): number => (objective.method === 'Timeslices' ? 0 : 1)

/** How far back the windows and the alerts of these objectives look. */
export const lookBackMinutes = (objectives: readonly Objective[]): number =>
  Math.max(longestMinutes(objectives), ...objectives.map(longestWindowMinutes))

/** The longest burn window: what must be known before the first minute that is judged. */
export const longestMinutes = (objectives: readonly Objective[]): number =>
  Math.max(0, ...objectives.flatMap(({ tiers }) => tiers.map(({ longMinutes }) => longMinutes)))
