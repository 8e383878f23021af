import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { diagnose } from '../../slo/diagnose/diagnose.ts'
import { selectorsRead } from '../../slo/diagnose/model.ts'
import { readDirectory } from '../../slo/directory.ts'
import { openStore, recorderFile } from '../../slo/sources/recorder/store.ts'
import { photo } from '../images.ts'
import { temporaryFolder } from '../support.ts'
import type { Drill } from './drill.ts'
import { drills } from './drills/all.ts'
import { recordingOf, runDrill } from './run.ts'
import { type Finding, isNamed, saidIn } from './score.ts'

/** `npm run faults` does all drills; these need no part, and show clearly in half the time on a busy machine. */
const [drill, other] = ['one slot hung', 'no converter'].map(each =>
  drills.find(({ name }) => name === each),
) as [Drill, Drill]
const scrapeSeconds = 0.5

let keep: string
let findings: [Finding, Finding]

beforeAll(async () => {
  keep = await temporaryFolder(afterAll)
  const images = [await photo(2000, 1500, 1)]
  const run = (each: Drill) => runDrill(each, images, { keep, scrapeSeconds })
  findings = await Promise.all([run(drill), run(other)])
}, 300_000)

test.each([drill, other].map((each, i) => [each.name, each, i] as const))('%s is named', (_name, each, i) => {
  expect(each.truth).toContain(saidIn(findings[i] as Finding))
})

test('a drill fails when diagnose is blind to what the fault does', async () => {
  const folder = recordingOf(keep, drill)
  const at = Date.parse(JSON.parse(readFileSync(`${folder}.json`, 'utf8')).at)
  const store = openStore(recorderFile(folder))
  const model = readDirectory().service
  const shown = ['tintype_slot_oldest_seconds', 'tintype_conversions_total']
  const blinded = selectorsRead(model).filter(({ metric }) => !shown.includes(metric))
  const series = await store.series(blinded, at - 60_000, at)
  await store.close()
  const verdict = diagnose(model, series, { atMs: at, stepMs: scrapeSeconds * 1000 })
  expect(isNamed({ ...findings[0], verdict })).toBe(false)
})
