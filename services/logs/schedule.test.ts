import { utimesSync } from 'node:fs'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { foldersIn, publish } from './daily.ts'
import { line, stamped, writeJournal } from './fixture.ts'
import { due } from './schedule.ts'

const day = '2026-11-20'
const at = `${day}T23:59:59.000Z`
const midnight = Date.parse('2026-11-21T00:00:00.000Z')
const minute = 60_000

test('a day is due ten minutes after its end, once; late entries make it due again when they have stopped coming', async () => {
  const folders = foldersIn(await temporaryFolder())
  const write = (n: number, whenMs: number) => {
    const file = writeJournal(folders.streams, day, 'web.0.17', stamped(line('web.0.17', n, at), at))
    utimesSync(file, whenMs / 1000, whenMs / 1000)
  }
  write(1, midnight - 1_000)
  expect(due(folders, midnight + 9 * minute)).toEqual([])
  expect(due(folders, midnight + 10 * minute)).toEqual([day])
  await publish(folders, day)
  expect(due(folders, midnight + 11 * minute)).toEqual([])
  write(2, midnight + 60 * minute)
  expect(due(folders, midnight + 61 * minute)).toEqual([])
  expect(due(folders, midnight + 70 * minute)).toEqual([day])
  expect(await publish(folders, day)).toMatchObject({ revision: 2, entries: 2 })
  expect(due(folders, midnight + 24 * 60 * minute)).toEqual([])
})
