import { readConfig } from '@tintype/lib/config.ts'
import { pick } from '@tintype/lib/variables.ts'
import { diagnoseAt } from '../diagnose/diagnose-at.ts'
import { type Incident, incidentNote, terminal } from '../diagnose/note.ts'
import { openExamples } from '../diagnose/open-examples.ts'
import { raiseDetail } from '../diagnose/raise-detail.ts'
import { toMinute } from '../math/time.ts'
import { openEvaluations } from '../serve/evaluations.ts'
import { openTargets } from '../serve/targets.ts'
import type { View } from '../serve/view.ts'
import type { Minute } from '../sources/index.ts'
import { type Context, type Given, status, type Verb, withSource } from './context.ts'

export const run: Verb = async (given, context) => {
  const { dataDir, environment, nowMs, print } = context
  const stores = { dataDir, environment }
  // A later time than now has no samples, which would look like processes that are away.
  const atMs = Math.min(given.at ?? nowMs, nowMs)
  const directory = context.directory()
  const verdict = await withSource(given, context, source => diagnoseAt(directory, source, atMs))
  const stage = directory.service.stages.find(({ name }) => name === verdict.verdict)
  const { examplesOf, loggedBy } = await openExamples(directory)
  // Without a known begin the examples are those of the last five minutes.
  const since = verdict.since === null ? atMs - 300_000 : Date.parse(verdict.since)
  const examples = stage ? await examplesOf(stores, stage.name, since, atMs) : []
  // The verdict is shown even if no service of this machine can raise its detail.
  const raise = async (): Promise<string> => {
    if (!stage) throw new Error('no stage is named')
    const config = readConfig(environment, pick('SCRAPE_TARGETS', 'TARGETS_FILE'))
    // The launcher writes this file.
    const written = { ...config, TARGETS_FILE: config.TARGETS_FILE || `${dataDir}/targets.json` }
    return raiseDetail(openTargets(written, directory.service, environment)(), stage.jobs)
  }
  const notRaised = (error: Error) => `detail could not be raised: ${error.message}`
  const detail = given.detail ? await raise().catch(notRaised) : undefined
  if (detail && !given.json) print(detail)
  if (given.json) print(JSON.stringify({ ...verdict, examples, detail }))
  else {
    const views = given.note ? await viewsAt(toMinute(atMs), context, given) : []
    const logged = stage ? await loggedBy(stores, stage.jobs, since, atMs) : []
    const incident: Incident = { verdict, examples, atMs, directory, views, logged }
    print(given.note ? incidentNote(incident) : terminal(incident))
  }
  return verdict.verdict === 'healthy' ? status.good : status.broken
}

const viewsAt = (minute: Minute, context: Context, given: Given): Promise<View[]> =>
  withSource(given, context, async source => {
    const noStore = { get: () => undefined, set() {} }
    const evaluations = openEvaluations(context.directory().objectives, source, noStore)
    await evaluations.read(minute)
    return evaluations.viewsAt(minute)
  })
