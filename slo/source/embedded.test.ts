import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { readObjectives } from '../objectives.ts'
import type { Sample } from '../recorder/exposition.ts'
import { createStore, recorderFile } from '../recorder/store.ts'
import { contractData, sourceContract } from './contract.ts'
import { openEmbedded } from './embedded.ts'
import type { Source } from './index.ts'

/** The contract's samples as scrapes: what one target exposed at one time. */
function scrapes() {
  const found = new Map<string, { job: string; instance: string; at: number; samples: Sample[] }>()
  for (const { metric, labels, samples } of contractData().series) {
    const { job = '', instance = '', ...own } = labels
    const canonical = Object.entries(own)
      .sort()
      .map(([name, value]) => `${name}="${value}"`)
      .join(',')
    for (const { timeMs: at, value } of samples) {
      const key = `${job} ${instance} ${at}`
      const scrape = found.get(key) ?? { job, instance, at, samples: [] }
      scrape.samples.push({ name: metric, labels: canonical, value })
      found.set(key, scrape)
    }
  }
  return [...found.values()].sort((one, other) => one.at - other.at)
}

describe('the embedded recorder', () => {
  let source: Source
  beforeAll(async () => {
    const dataDir = await temporaryFolder(afterAll)
    const slis = readObjectives().map(({ sli }) => sli)
    const store = createStore(recorderFile(dataDir), slis)
    for (const scrape of scrapes()) store.append(scrape)
    store.close()
    source = openEmbedded(dataDir)
  })
  afterAll(() => source.close())

  sourceContract(() => source)
})

test('where nothing was ever recorded, it says so', () => {
  expect(() => openEmbedded(`${tmpdir()}/tintype-nowhere`)).toThrow('nothing was recorded yet')
})
