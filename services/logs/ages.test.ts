import { existsSync, mkdirSync, readdirSync, rmSync, unlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { dayMs, dayOf } from '@tintype/lib/day.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, onTestFinished, test } from 'vitest'
import { sampleIn, startScript, temporaryFolder, until } from '../../test/support.ts'
import { sizingReport } from './cli.ts'
import { dayFile, manifestFile, publish } from './daily.ts'
import { foldersIn, namesIn } from './files.ts'
import { line, lines, readJournals, stamped, writeJournal } from './fixture.ts'
import { due, removeAged } from './schedule.ts'
import { openServerJournal } from './streams.ts'
import { isSound, verify } from './verify.ts'

const today = Date.parse('2026-11-25T12:00:00.000Z')
const ago = (days: number) => today - days * dayMs
const keep = { logsDays: 30, revisionsDays: 1 }

/** A log server's folders, and its journal to which entries of each day are sent as they come. */
async function house(dataDir: string) {
  const folders = foldersIn(dataDir)
  const journal = openServerJournal(folders.streams)
  onTestFinished(() => journal.close())
  const metrics = createMetrics('logs', '0')
  const send = (stream: string, from: number, to: number, atMs: number, oldest = false) =>
    journal.append(stream, {
      body: Buffer.from(lines(stream, from, to, atMs)),
      clock: { receivedMs: atMs, offsetMs: 0 },
      oldest,
    })
  const remove = (nowMs = today, ages = keep) => removeAged({ folders, journal, keep: ages }, nowMs)
  const counted = ({ limit }: { limit: string }) =>
    sampleIn(metrics, `tintype_limit_reached_total{limit="${limit}"}`)
  return { folders, journal, send, remove, counted }
}

const begun = (epochMs: number, service = 'web') => `${service}.0.${Math.floor(epochMs / 1000)}`

test('received segments and published days go when they are over for KEEP_LOGS_DAYS; the rest is sound', async () => {
  const { folders, send, remove, counted } = await house(await temporaryFolder())
  const stream = begun(ago(33))
  let n = 0
  for (let days = 33; days >= 28; days--) {
    await send(stream, n + 1, n + 10, ago(days))
    n += 10
    await publish(folders, dayOf(ago(days)))
  }
  await remove()
  expect(namesIn(folders.streams).filter(name => name.startsWith('2'))).toEqual(
    [30, 29, 28].map(d => dayOf(ago(d))),
  )
  expect(namesIn(folders.days).map(name => name.slice(0, 10))).toEqual(
    [30, 29, 28].flatMap(days => Array(3).fill(dayOf(ago(days)))),
  )
  expect(await counted({ limit: 'logAge' })).toBe(6)
  const verdicts = await verify(folders)
  expect(verdicts).toHaveLength(3)
  expect(verdicts.every(isSound)).toBe(true)
  await remove()
  expect(await counted({ limit: 'logAge' })).toBe(6)
})

test('0 keeps for ever', async () => {
  const { folders, send, remove } = await house(await temporaryFolder())
  await send(begun(ago(999)), 1, 2, ago(999))
  await publish(folders, dayOf(ago(999)))
  await remove(today, { logsDays: 0, revisionsDays: 0 })
  expect(Object.keys(readJournals(folders.streams))).toHaveLength(1)
  expect(namesIn(folders.days)).toHaveLength(3)
})

test('a day that was never published is kept over its age, until it is', async () => {
  const { folders, send, remove } = await house(await temporaryFolder())
  const day = dayOf(ago(40))
  await send(begun(ago(40)), 1, 3, ago(40))
  await remove()
  expect(namesIn(folders.streams)).toContain(day)
  expect(due(folders, Date.now())).toEqual([])
  const tomorrow = Date.now() + dayMs
  expect(due(folders, tomorrow)).toEqual([day])
  expect(await publish(folders, day)).toMatchObject({ revision: 1, entries: 3 })
  await remove()
  expect(namesIn(folders.streams)).not.toContain(day)
  expect(namesIn(folders.days)).toEqual([])
})

test('an unreadable day, which is never published, does not prevent the removal of other days', async () => {
  const { folders, send, remove } = await house(await temporaryFolder())
  const damaged = join(folders.streams, dayOf(ago(45)), `${begun(ago(45))}.ndjson`)
  mkdirSync(damaged, { recursive: true })
  await send(begun(ago(40)), 1, 10, ago(40))
  await publish(folders, dayOf(ago(40)))
  await remove()
  expect(namesIn(folders.streams).filter(name => name.startsWith('2'))).toEqual([dayOf(ago(45))])
})

test('what is sent again of a day that was removed is removed again, and its stream goes on', async () => {
  const { folders, send, remove } = await house(await temporaryFolder())
  const stream = begun(ago(40))
  const [old, recent] = [dayOf(ago(40)), dayOf(ago(1))]
  await send(stream, 1, 10, ago(40))
  await publish(folders, old)
  await remove()
  expect(Object.keys(readJournals(folders.streams))).toEqual([])
  // Its shipper holds all of it still: it is asked for the oldest, and sends that.
  expect(await send(stream, 11, 12, ago(1))).toEqual({ expected: 1 })
  expect(await send(stream, 1, 10, ago(40), true)).toMatchObject({ acked: 10 })
  expect(await send(stream, 11, 12, ago(1))).toMatchObject({ acked: 12, appended: 2 })
  await publish(folders, old)
  await publish(folders, recent)
  await remove()
  expect(Object.keys(readJournals(folders.streams))).toEqual([`${recent}/${stream}.ndjson`])
  expect((await verify(folders)).map(({ day, entries }) => [day, entries])).toEqual([[recent, 2]])
})

test('a superseded revision goes KEEP_REVISIONS_DAYS after the newer one was published, with its manifest and index', async () => {
  const { folders, remove, counted } = await house(await temporaryFolder())
  const day = dayOf(ago(3))
  const at = new Date(ago(3)).toISOString()
  for (const n of [1, 2, 3]) {
    writeJournal(folders.streams, day, 'web.0.17', stamped(line('web.0.17', n, at), at))
    await publish(folders, day)
    utimesSync(manifestFile(folders.days, { day, revision: n }), 0, ago(4 - n) / 1000)
  }
  await remove(today - 1)
  expect(namesIn(folders.days)).toHaveLength(9)
  await remove()
  expect(namesIn(folders.days).every(name => name.startsWith(`${day}.r3.`))).toBe(true)
  expect(namesIn(folders.days)).toHaveLength(3)
  expect(await counted({ limit: 'revisionAge' })).toBe(2)
  expect((await verify(folders)).every(isSound)).toBe(true)
})

test('what a kill leaves of a removal is removed with the next', async () => {
  const { folders, send, remove } = await house(await temporaryFolder())
  const day = dayOf(ago(33))
  await send(begun(ago(33)), 1, 3, ago(33))
  await publish(folders, day)
  writeJournal(folders.days, '.', `.${day}.draft`, 'of a publish that was killed')
  unlinkSync(manifestFile(folders.days, { day, revision: 1 }))
  expect(existsSync(dayFile(folders.days, { day, revision: 1 }))).toBe(true)
  await remove()
  expect(readdirSync(folders.days)).toEqual([])
})

test('a log server removes what is over its age from its start on, and goes on when somebody deletes DATA_DIR', async () => {
  const dataDir = await temporaryFolder()
  const folders = foldersIn(dataDir)
  const old = dayOf(Date.now() - 5 * dayMs)
  const at = `${old}T12:00:00.000Z`
  writeJournal(folders.streams, old, 'web.0.17', stamped(line('web.0.17', 1, at), at))
  await publish(folders, old)
  const server = await startScript(
    'services/logs/main.ts',
    { DATA_DIR: dataDir, LOGS_PORT: '0', LOGS_ADMIN_PORT: '0', KEEP_LOGS_DAYS: '2' },
    ['serve'],
  )
  onTestFinished(async () => void (await server.stop()))
  await until(() => namesIn(folders.days).length === 0 && !existsSync(join(folders.streams, old)), {
    what: 'the end of a day of five days ago',
  })
  const metrics = await fetch(`${server.endpoints.logsAdmin}/metrics`)
  expect(await metrics.text()).toContain('tintype_limit_reached_total{limit="logAge"} 2')
  expect((await fetch(`${server.endpoints.logsAdmin}/livez`)).status).toBe(200)
  const { keep: shown } = (await (await fetch(`${server.endpoints.logs}/sizing.json`)).json()) as {
    keep: unknown
  }
  expect(shown).toEqual({ logsDays: 2, revisionsDays: 1 })
  // `logs sizing` of a shell that knows neither KEEP_LOGS_DAYS nor STORAGE_URL.
  const { data } = await sizingReport(foldersIn('/nowhere'), { server: server.endpoints.logs })
  expect(data).toMatchObject({ keep: shown })
  rmSync(dataDir, { recursive: true, maxRetries: 10 })
  // Web's next start makes a new secret.
  const authorization = `Bearer ${secret('INGEST_TOKEN', '', dataDir)}`
  const body = line('web.0.18', 1, Date.now())
  const ship = () =>
    fetch(`${server.endpoints.logs}/streams/web.0.18`, { method: 'POST', headers: { authorization }, body })
  await until(async () => (await ship()).ok, { what: 'entries of a process with the new secret' })
  expect(Object.keys(readJournals(folders.streams))).toContain(`${dayOf(Date.now())}/web.0.18.ndjson`)
})
