import { explainError } from '@tintype/lib/errors.ts'
import type { Facts } from '../alerts/alert-store.ts'
import { toShort } from '../math/time.ts'
import { goneMinutes, grouped, ungrouped } from '../sources/groups.ts'
import type { Minute, Objective, Source } from '../sources/index.ts'
import type { Recorded } from '../sources/recorded.ts'
import { isJudgedAt, longestMinutes, lookBackMinutes, readRecorded } from '../sources/recorded.ts'
import { rememberSlots } from '../sources/remembered.ts'
import { type View, viewOf } from './view.ts'

export type Evaluations = ReturnType<typeof openEvaluations>

/** All objectives, with one for each group of a grouped one, over the minutes kept in memory. */
export function openEvaluations(objectives: readonly Objective[], behind: Source, store: Facts) {
  let onRead: (isRead: boolean) => void
  const source = rememberSlots(behind, isRead => onRead(isRead))
  /** The kept minutes: the window, and before it a day of alerts with the minutes that these look back on. */
  const keptMinutes = (of: readonly Objective[]) => lookBackMinutes(of) + 1440 + longestMinutes(of)
  let recorded: Recorded | undefined
  let unread = new Map<string, string>()
  let leftOut: string[] = []
  return {
    objectives,
    /**
     * Reads up to a minute. Returns a text about objectives that could not be read, or null. `progress` is called after
     * each read, also a failed one.
     */
    async read(now: Minute, progress: typeof onRead = () => {}): Promise<string | null> {
      onRead = progress
      source.troubles.clear()
      // Each objective's begin is stored for a start without the source: minutes without data are then offline.
      const stored = store.get<Readonly<Record<string, Minute>>>('began', {}) ?? {}
      // A begin in the future was stored while the clock was ahead.
      const knownOf = ({ id }: Objective) => ((stored[id] ?? now) < now ? stored[id] : undefined)
      const from = now - keptMinutes(objectives)
      const all = await Promise.all(objectives.map(each => grouped(source, each, now - goneMinutes, now)))
      const expanded = all.flatMap(({ groups }) => groups)
      leftOut = all.flatMap(of => of.leftOut.map(({ objective: { id }, why }) => `${id}: ${why}`))
      const fromOf = (each: Objective) => now - keptMinutes([each])
      const knownBegin = (each: Objective) => {
        const [known, blindUntil] = [knownOf(each), source.blindUntil(each.sli)]
        return known && blindUntil && Math.max(known, blindUntil)
      }
      recorded = await readRecorded(source, expanded, { from, to: now, fromOf, begun: knownBegin })
      const troubled = new Map(
        [...objectives, ...expanded].flatMap(({ id, sli }) => {
          const trouble = source.troubles.get(JSON.stringify(sli))
          return trouble === undefined ? [] : [[ungrouped(id), explainError(trouble)] as const]
        }),
      )
      const judged = recorded?.objectives ?? []
      const silent = judged.flatMap(({ objective, begun, silentSince }) =>
        begun === undefined || silentSince === undefined
          ? []
          : [[objective.id, `No sample could be counted since ${toShort(silentSince)} UTC.`] as const],
      )
      unread = new Map([...silent, ...troubled])
      const began = Object.fromEntries([
        ...Object.entries(stored).filter(([id]) => troubled.has(ungrouped(id))),
        ...judged.map(({ objective, begun }) => [objective.id, knownOf(objective) ?? begun]),
      ])
      if (JSON.stringify(began) !== JSON.stringify(stored)) store.set('began', began)
      const [why] = troubled.values()
      return why === undefined ? null : `${[...troubled.keys()].join(', ')}: ${why}`
    },
    /** Why objectives or groups could not be read at the last time, by the objective's id. */
    unread: (): ReadonlyMap<string, string> => unread,
    /** Which groups have no budget, as there are too many or none; null when each has one. */
    leftOut: (): string | null => leftOut.join('; ') || null,
    /**
     * The objectives at a minute that was read, without ended groups; none before the SLO began and before the kept
     * minutes. Many objectives with long windows take seconds, so it pauses after each.
     */
    async viewsAt(asked: Minute, pause: () => Promise<unknown> = async () => {}): Promise<View[]> {
      const { start, to, objectives } = recorded ?? { start: asked, to: asked, objectives: [] }
      const minute = Math.min(asked, to)
      const views: View[] = []
      if (start >= minute) return views
      for (const each of objectives) {
        if (!isJudgedAt(each, minute)) continue
        views.push(viewOf(each, start, minute))
        await pause()
      }
      return views
    },
  }
}
