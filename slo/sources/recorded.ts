import { limits } from '@tintype/lib/limits.ts'
import { turns } from '@tintype/lib/turns.ts'
import { isDoubtful, tally } from '../math/sli.ts'
import { toMinute } from '../math/time.ts'
import { longestWindowMinutes } from '../math/window.ts'
import { goneMinutes, grouped } from './groups.ts'
import { type Minute, type Objective, type Slot, type Source, SourceError } from './index.ts'

/** Minutes without a sample after which an objective is silent. Other objectives' alerts report shorter outages. */
const silentMinutes = 60

/** A source's minutes of the objectives, from the start of the SLO or from the first requested minute. */
export type Recorded = NonNullable<Awaited<ReturnType<typeof readRecorded>>>
/** The minutes of an objective from the first one that counts, without gaps; none when it has not begun. */
export type RecordedObjective = Recorded['objectives'][number]

export type Unread = { objective: Objective; why: string }

type Period = {
  from: Minute
  to: Minute
  /** When the SLO starts, regardless of earlier counts. */
  since?: Minute | undefined
  /** A known begin of an objective, if the source does not have it. Called after the minutes were read. */
  begun?: (objective: Objective) => Minute | undefined
  /** The first minute to read of an objective; default: `from`. */
  fromOf?: (objective: Objective) => Minute
}

/**
 * Reads the minutes [from, to) of all objectives, up to the source's clock. An objective begins with `since`, else with
 * its first counted minute, as in the generated rules. The SLO begins with the earliest of its Timeslices objectives, else
 * with the earliest of any kind: one that is added later does not shorten the others' windows. Undefined when none has begun.
 * @throws SourceError when none that has begun could be read.
 */
export async function readRecorded(source: Source, objectives: readonly Objective[], period: Period) {
  const { from, to: wanted, since, begun: knownOf = () => undefined, fromOf = () => from } = period
  const unread: Unread[] = []
  const orNone = <T>(objective: Objective, read: Promise<T[]>): Promise<T[]> =>
    read.catch(error => {
      if (!(error instanceof SourceError)) throw error
      unread.push({ objective, why: error.message })
      return []
    })
  const groupsOf = async (each: Objective) => [await grouped(source, each, from, wanted)]
  const known = (await Promise.all(objectives.map(each => orNone(each, groupsOf(each))))).flat()
  // A few objectives at a time: if all were read at once, all would end last, and a slow source would look stalled.
  const turn = turns(limits.reads.value)
  const read = async (objective: Objective) => {
    const own = fromOf(objective)
    const slots = await turn(() => source.slots(objective.sli, own, wanted))
    const begun = since ?? (await beginOf(source, objective, own, slots)) ?? knownOf(objective)
    return [{ objective, from: own, slots, begun }]
  }
  // In parallel, because a hanging source uses its whole timeout for each.
  const [now, all] = await Promise.all([
    source.now(),
    Promise.all(known.flatMap(({ groups }) => groups).map(each => orNone(each, read(each)))),
  ])
  const to = Math.min(wanted, toMinute(now))
  const reads = all
    .flat()
    .map(({ begun = to, ...each }) => ({ ...each, begun: begun < to ? begun : undefined }))
  const earliest = (of: typeof reads) => Math.min(...of.map(({ begun = Infinity }) => begun))
  const ofSlices = earliest(reads.filter(({ objective }) => objective.method === 'Timeslices'))
  const start = ofSlices === Infinity ? earliest(reads) : ofSlices
  if (start === Infinity) {
    throwUnread(unread)
    return undefined
  }
  return {
    /** The first minute that counts: when the SLO began. */
    start: Math.max(start, from),
    to,
    unread,
    /** Grouped objectives without groups, or with too many. */
    leftOut: known.flatMap<Unread>(({ leftOut }) => leftOut),
    objectives: reads.map(({ objective, from, slots: whole, begun }) => {
      const slots = whole.slice(0, Math.max(0, to - from))
      // A minute without data is bad only after the objective began. Events count also before that, but not before `since`.
      const isSince = objective.method === 'Timeslices' || since !== undefined
      const first = isSince ? Math.max(begun ?? to, from) : from
      const last = slots.findLast(({ total }) => total > 0)?.start ?? from
      const mayEnd = objective.group !== null && since === undefined
      const counted = slots.slice(first - from, mayEnd ? last + goneMinutes - from : undefined)
      const silent = 1 + (slots.findLast(slot => !slot.unknown && !isDoubtful(slot))?.start ?? from)
      const isSilent =
        to - silent >= silentMinutes && (objective.method === 'Occurrences' || begun === undefined)
      return {
        objective,
        slots: counted,
        tally: tally(objective, first, counted),
        /** The first minute with events, or `since`; undefined while there is none. */
        begun,
        /**
         * Since when no minute can be judged, if for `silentMinutes`; at the earliest since the SLO began. Undefined for a
         * Timeslices objective that has begun, whose minutes are offline then, and for a group, which ends after `goneMinutes`.
         */
        silentSince: isSilent && !mayEnd ? Math.max(silent, start) : undefined,
      }
    }),
  }
}

/** Whether an objective has minutes up to this one: it has begun, and if it is a group it has not ended. */
export const isJudgedAt = ({ tally }: Pick<RecordedObjective, 'tally'>, minute: Minute): boolean =>
  tally.from < minute && minute <= tally.to

/** @throws SourceError naming the first objective that was not read. */
export function throwUnread([first]: readonly Unread[]): void {
  if (first) throw new SourceError(`${first.objective.id}: ${first.why}`)
}

/** When an objective began, from its minutes. */
async function beginOf(source: Source, { sli }: Objective, from: Minute, slots: readonly Slot[]) {
  const first = slots.find(({ total }) => total > 0)?.start
  return first === from || (await source.seenBefore(sli, from)) ? from : first
}

/** How many minutes the windows and alerts of these objectives look back. */
export const lookBackMinutes = (objectives: readonly Objective[]): number =>
  Math.max(longestMinutes(objectives), ...objectives.map(longestWindowMinutes))

/** The longest burn window, in minutes: it must be known before the first judged minute. */
export const longestMinutes = (objectives: readonly Objective[]): number =>
  Math.max(0, ...objectives.flatMap(({ tiers }) => tiers.map(({ longMinutes }) => longMinutes)))
