import { limits } from '@tintype/lib/limits.ts'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { createStore, recorderFile } from '../sources/recorder/store.ts'
import { diagnoseAt } from './read.ts'

const atMs = Date.parse('2026-11-22T12:00:00Z')

test('more series than a diagnosis may read are refused, with what to do', async () => {
  const dataDir = await temporaryFolder()
  const store = createStore(recorderFile(dataDir), [])
  const samples = Array.from({ length: limits.diagnosedSeries.value }, (_, i) => ({
    name: 'tintype_slots',
    labels: `slot="${i}"`,
    value: 1,
  }))
  store.append({ job: 'converter', instance: 'a:1', at: atMs - 1_000, samples })
  store.close()
  const asked = diagnoseAt(readDirectory(), { prometheusUrl: '', dataDir, scrapeSeconds: 15 }, atMs)
  await expect(asked).rejects.toThrow('narrow the selectors in service.yaml')
})
