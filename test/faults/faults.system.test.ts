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

/** `npm run faults` does them all; these two need no part, and show clearly in half the time. */
const quick = ['no converter', 'one slot hung'].map(
  wanted => drills.find(({ name }) => name === wanted) as Drill,
)
const scrapeSeconds = 0.5

let keep: string
let findings: Finding[]

beforeAll(async () => {
  keep = await temporaryFolder(afterAll)
  const images = [await photo(2000, 1500, 1)]
  findings = await Promise.all(quick.map(drill => runDrill(drill, images, { keep, scrapeSeconds })))
}, 300_000)

test.each(quick)('$name is named', ({ name, truth }) => {
  const finding = findings.find(({ drill }) => drill === name) as Finding
  expect(truth).toContain(saidIn(finding))
})

test('a drill fails when diagnose is blind to what the fault does', () => {
  const [drill] = quick as [Drill]
  const folder = recordingOf(keep, drill)
  const at = Date.parse(JSON.parse(readFileSync(`${folder}.json`, 'utf8')).at)
  const store = openStore(recorderFile(folder))
  const model = modelOf(readDirectory().service)
  const blinded = metricsRead(model).filter(name => name !== 'up')
  const series = store?.read(blinded, at - 60_000, at) ?? []
  store?.close()
  const verdict = diagnose(model, series, { atMs: at, stepMs: scrapeSeconds * 1000 })
  const finding = findings.find(each => each.drill === drill.name) as Finding
  expect(isNamed({ ...finding, verdict })).toBe(false)
})
