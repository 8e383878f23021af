import { diagnoseAt } from '../diagnose/diagnose-at.ts'
import { incidentNote, terminal } from '../diagnose/note.ts'
import { openExamples } from '../diagnose/open-examples.ts'
import { toMinute } from '../math/time.ts'
import { type View, viewOf } from '../serve/view.ts'
import type { Minute } from '../sources/index.ts'
import { isJudgedAt, lookBackMinutes, readRecorded } from '../sources/recorded.ts'
import { type Context, type Given, status, type Verb, withSource } from './context.ts'

export const run: Verb = async (given, context) => {
  const { dataDir, environment, nowMs, print } = context
  // A later time than now has no samples, which would look like processes that are away.
  const atMs = Math.min(given.at ?? nowMs, nowMs)
  const directory = context.directory()
  const verdict = await withSource(given, context, source => diagnoseAt(directory, source, atMs))
  const isStage = directory.service.stages.some(({ name }) => name === verdict.verdict)
  const examplesOf = await openExamples(directory)
  // Without a known begin the examples are those of the last five minutes.
  const since = verdict.since === null ? atMs - 300_000 : Date.parse(verdict.since)
  const examples = isStage ? await examplesOf({ dataDir, environment }, verdict.verdict, since, atMs) : []
  const incident = { verdict, examples, atMs, directory }
  if (given.json) print(JSON.stringify({ ...verdict, examples }))
  else if (given.note)
    print(incidentNote({ ...incident, views: await viewsAt(toMinute(atMs), context, given) }))
  else print(terminal(incident))
  return verdict.verdict === 'healthy' ? status.good : status.broken
}

const viewsAt = (minute: Minute, context: Context, given: Given): Promise<View[]> =>
  withSource(given, context, async source => {
    const { objectives } = context.directory()
    const from = minute - lookBackMinutes(objectives)
    const recorded = await readRecorded(source, objectives, { from, to: minute })
    const judged = recorded?.objectives.filter(each => isJudgedAt(each, minute)) ?? []
    return judged.map(each => viewOf(each, recorded?.start ?? minute, minute))
  })
