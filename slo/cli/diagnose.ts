import { alertStoreFile, firstAlert, readSent } from '../alerts/alert-store.ts'
import { budgetLine } from '../alerts/text.ts'
import { adminPorts, raiseDetail } from '../diagnose/detail.ts'
import { openExamples } from '../diagnose/examples.ts'
import { type Incident, incidentNote, terminal } from '../diagnose/note.ts'
import { diagnoseAt } from '../diagnose/read.ts'
import { judgeAll } from '../math/report.ts'
import { toMinute } from '../math/time.ts'
import { readRecorded } from '../sources/recorded.ts'
import { type Context, type Given, type Run, status, time, withSource } from './context.ts'

/** When it is not known when the slowness began, examples are taken from this long before. */
const examplesMs = 5 * 60_000

export const run: Run = async (given, context) => {
  const { dataDir, nowMs, print } = context
  const { prometheus, scrapeSeconds } = context.directory().service
  const atMs = given.at === undefined ? nowMs : time('at', given.at, nowMs)
  const prometheusUrl = given.prometheus ?? prometheus
  const directory = context.directory()
  const verdict = await diagnoseAt(directory, { prometheusUrl, dataDir, scrapeSeconds }, atMs)
  const stage = directory.service.stages.find(({ name }) => name === verdict.verdict)
  const { examplesOf, toldOf } = await openExamples(directory)
  const since = verdict.since === null ? atMs - examplesMs : Date.parse(verdict.since)
  const examples = stage ? await examplesOf(dataDir, stage.name, since, atMs) : []
  if (given.detail && stage) print(await raiseDetail(adminPorts(dataDir), stage.jobs))
  if (given.json) print(JSON.stringify({ ...verdict, examples }))
  else {
    const incident: Incident = {
      verdict,
      examples,
      atMs,
      service: directory.service,
      budgets: given.note ? await budgets(context, given, atMs) : [],
      firstAlertMs: firstAlert(readSent(alertStoreFile(dataDir))),
      logged: stage ? await toldOf(dataDir, stage.jobs, since, atMs) : [],
    }
    print(given.note ? incidentNote(incident) : terminal(incident))
  }
  return verdict.verdict === 'healthy' ? status.good : status.broken
}

/** The used budget of each objective, a line each. */
async function budgets(context: Context, given: Given, atMs: number): Promise<string[]> {
  const objectives = context.directory().objectives
  const to = toMinute(atMs)
  const from = to - Math.max(...objectives.map(({ windowMinutes }) => windowMinutes))
  const recorded = await withSource(given, context, source => readRecorded(source, objectives, { from, to }))
  if (!recorded) return []
  return judgeAll(recorded, undefined).map(({ standing }) => budgetLine(standing))
}
