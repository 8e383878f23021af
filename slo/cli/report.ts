import { UsageError } from '@tintype/lib/command-line.ts'
import type { WitnessModule } from '../directory/witnesses.ts'
import { loadModule } from '../directory.ts'
import { readPlanned } from '../math/planned.ts'
import { judgeAll, type Report, reportJson, reportText, spanOf } from '../math/report.ts'
import { bad } from '../math/sli.ts'
import { toIso, toMinute } from '../math/time.ts'
import type { MinuteSpan } from '../math/window.ts'
import { SourceError } from '../sources/index.ts'
import { lookBackMinutes, type Recorded, readRecorded } from '../sources/recorded.ts'
import { type Context, status, type Verb, withSource } from './context.ts'

export const run: Verb = async (given, context) => {
  const { window: windowMinutes, at = context.nowMs, since } = given
  // A later minute than now has no data and would be read as an outage.
  const to = toMinute(Math.min(at, context.nowMs))
  if (since !== undefined && since >= to) throw new UsageError('--since must be before --at')
  const objectives = context.directory().objectives
  const longest = Math.max(windowMinutes ?? 0, lookBackMinutes(objectives))
  const recorded = await withSource(given, context, source =>
    readRecorded(source, objectives, { from: to - longest, to, since }),
  )
  // An objective that has not begun has no window. One that was added later has a shorter one.
  const [first] = (recorded?.objectives ?? [])
    .filter(({ begun }) => begun !== undefined)
    .toSorted((one, other) => (one.begun ?? 0) - (other.begun ?? 0))
  if (!recorded || !first) throw new SourceError(`nothing was counted before ${toIso(to)}`)
  const span = spanOf(recorded, first, windowMinutes)
  const judged = judgeAll(recorded, windowMinutes)
  const witnesses = await compareWitnesses(judged, context)
  const unread = [...recorded.unread, ...recorded.leftOut]
  const report = { span, objectives: judged, unread, witnesses, planned: planned(recorded, span, context) }
  context.show(reportJson(report), reportText(report))
  if (judged.some(({ standing }) => standing.broken)) return status.broken
  const isKnown = unread.length === 0 && judged.every(({ silentSince }) => silentSince === undefined)
  return isKnown ? status.good : status.unusable
}

/** Compares the witnesses; null when the directory names none, or their objective was not read. */
async function compareWitnesses(objectives: Report['objectives'], context: Context) {
  const { directory, dataDir, environment } = context
  const { folder, service } = directory()
  const module = await loadModule<WitnessModule>(folder, service.witnesses, 'compareWitnesses')
  if (!module) return null
  return module.compareWitnesses({
    counted: name => objectives.find(({ standing }) => standing.objective.name === name)?.standing,
    stores: { dataDir, environment },
    scrapeMs: service.scrapeSeconds * 1000,
  })
}

/** Planned minutes of the window, and how many of them were offline for an objective. */
function planned({ objectives }: Recorded, { from, to }: MinuteSpan, { dataDir }: Context) {
  const announced = readPlanned(dataDir)
  const slices = objectives.filter(({ objective }) => objective.method === 'Timeslices')
  const all = Array.from({ length: to - from }, (_, i) => from + i)
  const minutes = all.filter(start => announced.some(each => start >= each.from && start < each.to))
  const offline = minutes.filter(start => slices.some(({ tally }) => bad(tally, start, start + 1) > 0))
  return { minutes: minutes.length, offline: offline.length }
}
