import { describeError } from '@tintype/lib/errors.ts'
import type { AlertStore } from '../alerts/alert-store.ts'
import type { Minute, Objective, Source } from '../sources/index.ts'
import { longestMinutes, lookBackMinutes, type Recorded, readRecorded } from '../sources/recorded.ts'
import { rememberSlots } from '../sources/remembered.ts'
import { type View, viewOf } from './view.ts'

export type Evaluations = ReturnType<typeof openEvaluations>

/** All objectives, one for each group of those that are grouped, over the minutes kept in memory. */
export function openEvaluations(
  objectives: readonly Objective[],
  behind: Source,
  store: Pick<AlertStore, 'get' | 'set'>,
) {
  const source = rememberSlots(behind)
  /** The window, and before it a day of alerts with what these look back on. */
  const keptMinutes = (of: readonly Objective[]) => lookBackMinutes(of) + 1440 + longestMinutes(of)
  let recorded: Recorded | undefined
  let hasRead = false
  return {
    /** Reads up to a minute. Why the source did not answer, or null; what is known is evaluated all the same. */
    async read(now: Minute): Promise<string | null> {
      // When each objective began is stored for a start while the source is away: then no data is offline, too.
      const stored = store.get<Readonly<Record<string, Minute>>>('began') ?? {}
      // One in the future was stored while the clock was ahead.
      const knownOf = ({ id }: Objective) => ((stored[id] ?? now) < now ? stored[id] : undefined)
      recorded = await readRecorded(source, objectives, {
        from: now - keptMinutes(objectives),
        to: now,
        fromOf: each => now - keptMinutes([each]),
        begun: each => {
          const known = knownOf(each)
          return known === undefined ? undefined : Math.max(known, source.blindUntil())
        },
      })
      const trouble = source.trouble()
      if (trouble !== undefined) return describeError(trouble)
      hasRead ||= recorded !== undefined
      const known = recorded?.objectives ?? []
      const began = Object.fromEntries(
        known.map(({ objective, begun }) => [objective.id, knownOf(objective) ?? begun]),
      )
      if (JSON.stringify(began) !== JSON.stringify(stored)) store.set('began', began)
      return null
    },
    /** Whether the source was read once and the SLO had begun. */
    hasRead: () => hasRead,
    /** The objectives at a minute that was read, without groups that have ended; empty before the SLO began, and when it is before what is kept. */
    viewsAt(asked: Minute): View[] {
      const { start, to, objectives } = recorded ?? { start: asked, to: asked, objectives: [] }
      const minute = Math.min(asked, to)
      if (start >= minute) return []
      return objectives
        .filter(({ tally: { from, to } }) => from < minute && minute <= to)
        .map(each => viewOf(each, start, minute))
    },
  }
}
