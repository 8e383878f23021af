import { limits } from '@tintype/lib/limits.ts'
import { turns } from '@tintype/lib/turns.ts'
import { type Tally, tally } from '../math/sli.ts'
import { toMinute } from '../math/time.ts'
import { longestWindowMinutes } from '../math/window.ts'
import { grouped } from './groups.ts'
import { type Minute, type Objective, type Slot, type Source, SourceError } from './index.ts'

/** A group that counted nothing for so long has ended, here and in the generated rules; else it would be offline for ever. */
export const goneMinutes = 1_440

/** What a source holds of the objectives from the start of the SLO, or from the first minute asked for. */
export type Recorded = {
  /** The first minute that counts; before it there was no objective. */
  start: Minute
  to: Minute
  objectives: RecordedObjective[]
}

/** The minutes of an objective from the first one that counts, without holes; none of one that has not begun. */
export type RecordedObjective = {
  objective: Objective
  slots: readonly Slot[]
  tally: Tally
  /** The first minute in which it counted something, or `since`; undefined while there is none. */
  begun: Minute | undefined
}

type Period = {
  from: Minute
  to: Minute
  /** When the SLO starts, whatever was counted before. */
  since?: Minute | undefined
  /** When an objective is known to have begun, if its source does not say; called after the minutes were read. */
  begun?: (objective: Objective) => Minute | undefined
  /** The first minute that is read of an objective; default: `from`. */
  fromOf?: (objective: Objective) => Minute
}

/**
 * Reads the minutes [from, to) of all objectives, as far as the source’s clock has come. An objective begins with
 * `since`, else with its first counted minute, as in the generated rules. The SLO starts with the first Timeslices
 * objective that has begun, else with the first of any kind; undefined when none has.
 */
export async function readRecorded(
  source: Source,
  objectives: readonly Objective[],
  { from, to: wanted, since, begun: knownOf = () => undefined, fromOf = () => from }: Period,
): Promise<Recorded | undefined> {
  const known = await grouped(source, objectives, from, wanted)
  // A few objectives at a time: of all at once, each would be read only when the last one is, and a slow source looks hung.
  const turn = turns(limits.reads.value)
  const reads = known.map(async (objective): Promise<Read> => {
    const own = fromOf(objective)
    const slots = await turn(() => source.slots(objective.sli, own, wanted)).catch(error => {
      throw error instanceof SourceError
        ? new SourceError(`${objective.id}: ${error.message}`, { cause: error.cause })
        : error
    })
    return { objective, from: own, slots }
  })
  // At once: a source that hangs takes its whole time for each.
  const [now, whole] = await Promise.all([source.now(), Promise.all(reads)])
  const to = Math.min(wanted, toMinute(now))
  const read = whole.map(each => ({ ...each, slots: each.slots.slice(0, Math.max(0, to - each.from)) }))
  const begin = async (each: Read) => since ?? (await beginOf(source, each)) ?? knownOf(each.objective)
  const all = await Promise.all(read.map(async each => ({ ...each, begun: await begin(each) })))
  const start = all.toSorted((a, b) => rank(a) - rank(b)).find(({ begun }) => begun !== undefined)?.begun
  if (start === undefined || start >= to) return undefined
  return {
    start: Math.max(start, from),
    to,
    objectives: all.map(({ objective, from, slots, begun }) => {
      // A minute without data is bad only after the objective began; an event counts also before that.
      const first = objective.method === 'Timeslices' ? Math.max(begun ?? to, from) : from
      const last = slots.findLast(({ unknown }) => !unknown)?.start ?? from
      const mayEnd = objective.group !== null && since === undefined
      const counted = slots.slice(first - from, mayEnd ? last + goneMinutes - from : undefined)
      return { objective, slots: counted, tally: tally(objective, first, counted), begun }
    }),
  }
}

type Read = { objective: Objective; from: Minute; slots: readonly Slot[] }

/** When an objective began, of what was read. */
async function beginOf(source: Source, { objective, from, slots }: Read): Promise<Minute | undefined> {
  const first = slots.find(({ unknown }) => !unknown)?.start
  return first === from || (await source.seenBefore(objective.sli, from)) ? from : first
}

const rank = ({ objective }: Pick<Read, 'objective'>): number => (objective.method === 'Timeslices' ? 0 : 1)

/** How far back the windows and the alerts of these objectives look. */
export const lookBackMinutes = (objectives: readonly Objective[]): number =>
  Math.max(longestMinutes(objectives), ...objectives.map(longestWindowMinutes))

/** The longest burn window: what must be known before the first minute that is judged. */
export const longestMinutes = (objectives: readonly Objective[]): number =>
  Math.max(0, ...objectives.flatMap(({ tiers }) => tiers.map(({ longMinutes }) => longMinutes)))
