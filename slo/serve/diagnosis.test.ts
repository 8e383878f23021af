import type { Log } from '@tintype/lib/telemetry/log.ts'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { createStore, recorderFile } from '../sources/recorder/store.ts'
import { type Found, inShort, openDiagnosis } from './diagnosis.ts'

function listening() {
  const events: string[] = []
  const note = (event: string) => void events.push(event)
  return { events, log: { warn: note, error: note } as unknown as Log }
}

test('a diagnosis is made beside everything else, and is forgotten when it is no longer about now', async () => {
  const dataDir = await temporaryFolder()
  createStore(recorderFile(dataDir), []).close()
  const { log } = listening()
  const diagnosis = openDiagnosis(readDirectory(), dataDir, [], log)
  const looking = diagnosis.look(Date.now())
  expect(diagnosis.found(Date.now())).toBeNull()
  await looking
  const found = diagnosis.found(Date.now()) as Found
  expect(inShort(found, 'http://slo')).toBe(
    'Unknown: there is not enough data to say (there is no earlier time to compare with; nothing was measured; no stage has data). Note: http://slo/note',
  )
  expect(diagnosis.found(Date.now() + 10 * 60_000)).toBeNull()
  expect(diagnosis.last()).toBe(found)
})

test('a diagnosis that fails is said in the log and throws nothing', async () => {
  const { events, log } = listening()
  const diagnosis = openDiagnosis(readDirectory(), await temporaryFolder(), [], log)
  await diagnosis.look(Date.now())
  expect(events).toEqual(['diagnosis.failed'])
  expect(diagnosis.found(Date.now())).toBeNull()
})
