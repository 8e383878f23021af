import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { contractData, contractObjectives, sourceContract } from './contract.ts'
import { createStore } from './recorder/store.ts'

describe('the embedded recorder as a source', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tintype-'))
  const store = createStore(
    join(folder, 'recorder.sqlite'),
    contractObjectives.map(({ sli }) => sli),
  )

  beforeAll(() => {
    const samples = contractData().series.flatMap(({ metric, labels, samples }) =>
      samples.map(({ timeMs, value }) => ({
        target: `${labels.job} ${labels.instance}`,
        timeMs,
        sample: { name: metric, labels: `outcome="${labels.outcome}"`, value },
      })),
    )
    for (const [target, own] of Map.groupBy(samples, each => each.target)) {
      const [job = '', instance = ''] = target.split(' ')
      const scrapes = Map.groupBy(own, ({ timeMs }) => timeMs)
      for (const [at, scrape] of [...scrapes].sort(([one], [other]) => one - other))
        store.append({ job, instance, at, samples: scrape.map(({ sample }) => sample) })
    }
  })
  afterAll(async () => {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  })

  sourceContract(() => store)
})
