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

/**
 * Reads the minutes [from, to) of all objectives. The SLO starts with `since`, else with the first minute of
 * a Timeslices objective, else with the first event of any; undefined when nothing was ever counted. `begun` is when it is
 * known to have begun.
 */
export async function readRecorded(
  source: Source,
  objectives: readonly Objective[],
  {
    from,
    to,
    since,
    begun,
  }: { from: Minute; to: Minute; since?: Minute | undefined; begun?: () => Minute | undefined },
): Promise<Recorded | undefined> {
  const known = await grouped(source, objectives, from, to)
  const read = await Promise.all(
    known.map(async objective => ({ objective, slots: await source.slots(objective.sli, from, to) })),
  )
  const given = since ?? begun?.()
  const start = given === undefined ? await startOf(source, read, from) : Math.max(given, from)
  if (start === undefined || start >= to) return undefined
  const all = read.map(async ({ objective, slots }) => {
    const own = since === undefined ? await startOf(source, [{ objective, slots }], from) : undefined
    // A group that never counted anything has not begun: the generated rules record nothing of it either.
    const hasBegun = own !== undefined || since !== undefined || objective.group === null
    const first = beginOf(objective, hasBegun ? (own ?? start) : to, from)
    const counted = slots.slice(first - from)
    return { objective, slots: counted, tally: tally(objective, first, counted) }
  })
  return { start, to, objectives: await Promise.all(all) }
}

/**
 * From when an objective counts. A minute without data is bad only after the SLO began; an event counts also before that.
 */
const beginOf = ({ method }: Objective, start: Minute, from: Minute): Minute =>
  method === 'Timeslices' ? Math.max(start, from) : from

type Read = { objective: Objective; slots: readonly Slot[] }

/** When the SLO began, of what was read from `from` on. */
async function startOf(source: Source, read: readonly Read[], from: Minute): Promise<Minute | undefined> {
  const probesFirst = read.toSorted((a, b) => rank(a) - rank(b))
  for (const { objective, slots } of probesFirst) {
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
  Math.max(...objectives.flatMap(({ tiers }) => tiers.map(({ longMinutes }) => longMinutes)))
