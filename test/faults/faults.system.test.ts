import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { diagnose } from '../../slo/diagnose/diagnose.ts'
import { metricsRead, modelOf } from '../../slo/diagnose/model.ts'
import { readDirectory } from '../../slo/directory.ts'
import { openStore, recorderFile } from '../../slo/sources/recorder/store.ts'
import { photo } from '../images.ts'
import { temporaryFolder } from '../support.ts'
import type { Drill } from './drill.ts'
import { drills } from './drills/all.ts'
import { recordingOf, runDrill } from './run.ts'
import { type Finding, isNamed, saidIn } from './score.ts'

/**
 * `npm run faults` does them all; this one needs no part, and shows clearly in half the time. That no converter is named,
 * `test/system.system.test.ts` finds in its outage.
 */
const drill = drills.find(({ name }) => name === 'one slot hung') as Drill
const scrapeSeconds = 0.5

let keep: string
let finding: Finding

beforeAll(async () => {
  keep = await temporaryFolder(afterAll)
  finding = await runDrill(drill, [await photo(2000, 1500, 1)], { keep, scrapeSeconds })
}, 300_000)

test(`${drill.name} is named`, () => {
  expect(drill.truth).toContain(saidIn(finding))
})

test('a drill fails when diagnose is blind to what the fault does', () => {
  const folder = recordingOf(keep, drill)
  const at = Date.parse(JSON.parse(readFileSync(`${folder}.json`, 'utf8')).at)
  const store = openStore(recorderFile(folder))
  const model = modelOf(readDirectory().service)
  const shown = ['tintype_slot_oldest_seconds', 'tintype_conversions_total']
  const blinded = metricsRead(model).filter(name => !shown.includes(name))
  const series = store?.read(blinded, at - 60_000, at) ?? []
  store?.close()
  const verdict = diagnose(model, series, { atMs: at, stepMs: scrapeSeconds * 1000 })
  expect(isNamed({ ...finding, verdict })).toBe(false)
})
