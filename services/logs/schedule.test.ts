import { execFile } from 'node:child_process'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { dayMs } from '@tintype/lib/day.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { temporaryFolder, until } from '../../test/support.ts'
import type { LogServer } from './app.ts'
import { publishDay } from './cli.ts'
import { type Manifest, publish } from './daily.ts'
import { foldersIn } from './files.ts'
import { line, stamped, writeJournal } from './fixture.ts'
import { due, duePublisher, tendDays } from './schedule.ts'

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

test('a file that was written while the clock was a year ahead does not keep its day from being published', async () => {
  const folders = foldersIn(await temporaryFolder())
  const file = writeJournal(folders.streams, day, 'web.0.17', stamped(line('web.0.17', 1, at), at))
  const ahead = midnight / 1000 + 365 * 86_400
  utimesSync(file, ahead, ahead)
  expect(due(folders, midnight + 10 * minute)).toEqual([day])
})

test('a day with an unreadable journal is due, and does not prevent the publishing of other days', async () => {
  const folders = foldersIn(await temporaryFolder())
  for (const each of ['2026-11-19', day]) {
    const file = writeJournal(folders.streams, each, 'web.0.17', stamped(line('web.0.17', 1, at), at))
    utimesSync(file, midnight / 1000, midnight / 1000)
  }
  const damaged = `${folders.streams}/2026-11-19/web.9.17.ndjson`
  mkdirSync(damaged)
  utimesSync(damaged, midnight / 1000, midnight / 1000)
  expect(due(folders, midnight + 10 * minute)).toEqual(['2026-11-19', day])
  await expect(publish(folders, '2026-11-19')).rejects.toThrow('EISDIR')
})

test('a day that cannot be published is tried each hour, and the others are published; one that Ctrl-C ended is no error', async () => {
  const folders = foldersIn(await temporaryFolder())
  for (const each of ['2026-11-18', '2026-11-19', day])
    utimesSync(
      writeJournal(folders.streams, each, 'web.0.17', stamped(line('web.0.17', 1, at), at)),
      midnight / 1000,
      midnight / 1000,
    )
  const said: unknown[] = []
  const say = (event: string, { day }: { day: string }) => said.push([event, day])
  const look = duePublisher({ folders, log: { info: say, error: say } as unknown as Log }, async each => {
    if (each === day) throw new Error('no room')
    if (each === '2026-11-18') await promisify(execFile)('sh', ['-c', 'kill -INT $$'])
    return (await publish(folders, each)) as Manifest
  })
  for (let n = 60; n <= 125; n++) await look(midnight + n * minute)
  const failed = ['day.not-published', day]
  expect(said).toEqual([['day.published', '2026-11-19'], failed, failed])
})

test('a day is published also while a process of this machine holds entries, and the log says so', async () => {
  const dataDir = await temporaryFolder()
  const folders = foldersIn(dataDir)
  const file = writeJournal(folders.streams, day, 'web.0.17', stamped(line('web.0.17', 1, at), at))
  utimesSync(file, midnight / 1000, midnight / 1000)
  mkdirSync(`${folders.journals}/web.9`, { recursive: true })
  writeFileSync(`${folders.journals}/web.9/17.1.ndjson`, line('web.9.17', 1, at))
  writeFileSync(`${folders.journals}/.DS_Store`, '')
  const said: string[] = []
  const log = { info: (event: string) => said.push(event), error: (event: string) => said.push(event) }
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const clock = { believed: () => midnight + 60 * minute }
  const keep = { logsDays: 0, revisionsDays: 0 }
  vi.stubEnv('DATA_DIR', dataDir)
  onTestFinished(() => void vi.unstubAllEnvs())
  tendDays({ folders, clock, keep, log } as unknown as LogServer, stop.signal)
  await until(() => said.length > 0, { what: 'an entry about the day', timeoutMs: 40_000 })
  expect(said[0]).toBe('day.published')
})

test('entries of other days that a process of this machine holds do not hold a day back', async () => {
  const folders = foldersIn(await temporaryFolder())
  writeJournal(folders.streams, day, 'web.0.17', stamped(line('web.0.17', 1, at), at))
  mkdirSync(`${folders.journals}/launcher.0`, { recursive: true })
  const held = line('launcher.0.17', 1, midnight - 40 * dayMs) + line('launcher.0.17', 2, midnight)
  writeFileSync(`${folders.journals}/launcher.0/17.1.ndjson`, held)
  expect(await publishDay(folders, { day })).toMatchObject({ data: { entries: 1, held: [] }, code: 0 })
})
