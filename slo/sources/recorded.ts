import { type Tally, tally } from '../math/sli.ts'
import type { Minute, Objective, Slot, Source } from './index.ts'

/** What a source holds of the objectives from the start of the SLO, or from the first minute asked for. */
export type Recorded = {
  /** The first minute that counts; before it there was no promise. */
  start: Minute
  to: Minute
  objectives: { objective: Objective; slots: Slot[]; tally: Tally }[]
}

/**
 * Reads the minutes [from, to) of all objectives. The SLO starts with `since`, else with the first probe seen
 * (the first Timeslices objective), else with the first event of any; undefined when nothing was ever counted.
 */
export async function readRecorded(
  source: Source,
  objectives: readonly Objective[],
  { from, to, since }: { from: Minute; to: Minute; since?: Minute | undefined },
): Promise<Recorded | undefined> {
  const read = await Promise.all(
    objectives.map(async objective => ({ objective, slots: await source.slots(objective.sli, from, to) })),
  )
  const start = since === undefined ? await startOf(source, read, from) : Math.max(since, from)
  if (start === undefined || start >= to) return undefined
  return {
    start,
    to,
    objectives: read.map(({ objective, slots: all }) => {
      const slots = all.slice(start - from)
      const first = beginOf(objective, start, from)
      return { objective, slots, tally: tally(objective, first, all.slice(first - from)) }
    }),
  }
}

/**
 * From when an objective counts: only a minute without data needs to know whether the SLO had begun; an event is one,
 * also before the first probe.
 */
export const beginOf = ({ method }: Objective, start: Minute, from: Minute): Minute =>
  method === 'Timeslices' ? Math.max(start, from) : from

type Read = { objective: Objective; slots: readonly Slot[] }

/** When the promise began, of what was read from `from` on. */
export async function startOf(
  source: Source,
  read: readonly Read[],
  from: Minute,
): Promise<Minute | undefined> {
  const probesFirst = read.toSorted((a, b) => rank(a) - rank(b))
  for (const { objective, slots } of probesFirst) {
    const first = slots.find(({ unknown }) => !unknown)?.start
    if (first === from || (await source.seenBefore(objective.sli, from))) return from
    if (first !== undefined) return first
  }
  return undefined
}

const rank = ({ objective }: Read): number => (objective.method === 'Timeslices' ? 0 : 1)

/** The longest burn window: what must be known before the first minute that is judged. */
export const longestMinutes = (objectives: readonly Objective[]): number =>
  Math.max(...objectives.flatMap(({ tiers }) => tiers.map(({ longMinutes }) => longMinutes)))
