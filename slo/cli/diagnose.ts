import { readArguments } from '@tintype/lib/command-line.ts'
import { alertStoreFile, firstAlert, readSent } from '../alerts/alert-store.ts'
import { budgetLine } from '../alerts/text.ts'
import { diagnoseAt } from '../diagnose/diagnose-at.ts'
import { type Incident, incidentNote, terminal } from '../diagnose/note.ts'
import { openExamples } from '../diagnose/open-examples.ts'
import { adminPorts, raiseDetail } from '../diagnose/raise-detail.ts'
import { program } from '../directory.ts'
import { judgeAll } from '../math/report.ts'
import { toMinute } from '../math/time.ts'
import { readRecorded } from '../sources/recorded.ts'
import { type Context, status, time, type Verb, withSource } from './context.ts'

const usage = `slo diagnose [--at TIME] [--prometheus URL] [--json | --note] [--detail]

Why is it slow? Compares now with a baseline of its own, names the stage whose time grew and the resource that
accounts for it. "unknown" is an answer.
  --note    an incident note in Markdown, for a second person to join
  --detail  raises the log level of the services of that stage for ten minutes
Example: ${program} diagnose --at "today 14:05" --note
Exit status: 0 healthy, 1 slow or unknown, 2 bad arguments or no data source.`

const options = {
  at: { type: 'string' },
  prometheus: { type: 'string' },
  json: { type: 'boolean' },
  note: { type: 'boolean' },
  detail: { type: 'boolean' },
} as const

/** Without a time when it began, examples are looked for in this much before now. */
const examplesMs = 5 * 60_000

async function run(args: string[], context: Context): Promise<number> {
  const given = readArguments(args, options).values
  const { dataDir, environment, nowMs, print } = context
  const stores = { dataDir, environment }
  const atMs = given.at === undefined ? nowMs : time('at', given.at, nowMs)
  const directory = context.directory()
  const verdict = await withSource(given.prometheus, context, source => diagnoseAt(directory, source, atMs))
  const stage = directory.service.stages.find(({ name }) => name === verdict.verdict)
  const { examplesOf, loggedBy } = await openExamples(directory)
  const since = verdict.since === null ? atMs - examplesMs : Date.parse(verdict.since)
  const examples = stage ? await examplesOf(stores, stage.name, since, atMs) : []
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
      logged: stage ? await loggedBy(stores, stage.jobs, since, atMs) : [],
    }
    print(given.note ? incidentNote(incident) : terminal(incident))
  }
  return verdict.verdict === 'healthy' ? status.good : status.broken
}

/** What the incident cost so far, a line an objective. */
async function budgets(context: Context, given: { prometheus?: string }, atMs: number): Promise<string[]> {
  const objectives = context.directory().objectives
  const to = toMinute(atMs)
  const from = to - Math.max(...objectives.map(({ windowMinutes }) => windowMinutes))
  const recorded = await withSource(given.prometheus, context, source =>
    readRecorded(source, objectives, { from, to }),
  )
  if (!recorded) return []
  return judgeAll(recorded, undefined).map(({ standing }) => budgetLine(standing))
}

export const verb: Verb = { usage, run }
