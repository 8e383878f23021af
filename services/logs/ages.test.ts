import { existsSync, readdirSync, unlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { limits } from '@tintype/lib/limits.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, onTestFinished, test } from 'vitest'
import { sampleIn, startScript, temporaryFolder, until } from '../../test/support.ts'
import { removeAged } from './ages.ts'
import { foldersIn, publish } from './daily.ts'
import { line, lines, readJournals, stamped, writeJournal } from './fixture.ts'
import { dayFile, list, manifestFile } from './manifest.ts'
import { due } from './schedule.ts'
import { dayMs, dayOf } from './stamp.ts'
import { marks, openJournal } from './streams.ts'
import { isSound, verify } from './verify.ts'

const today = Date.parse('2026-11-25T12:00:00.000Z')
const ago = (days: number) => today - days * dayMs
const keep = { logsDays: 30, revisionsDays: 1 }

/** A log server's folders, and its journal to which entries of each day are sent as they come. */
async function house(dataDir: string) {
  const folders = foldersIn(dataDir)
  const journal = openJournal(folders.streams)
  onTestFinished(() => journal.close())
  const metrics = createMetrics('logs', '0')
  const send = (stream: string, from: number, to: number, atMs: number, oldest = false) =>
    journal.append(stream, {
      body: Buffer.from(lines(stream, from, to, atMs)),
      clock: { receivedMs: atMs, offsetMs: 0 },
      oldest,
    })
  const remove = (nowMs = today, ages = keep) => removeAged({ folders, journal, keep: ages, metrics }, nowMs)
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
  expect(list(folders.streams).filter(name => name.startsWith('2'))).toEqual(
    [30, 29, 28].map(d => dayOf(ago(d))),
  )
  expect(list(folders.days).map(name => name.slice(0, 10))).toEqual(
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
  expect(list(folders.days)).toHaveLength(3)
})

test('a stream whose segments are gone goes on at its mark, and is not published again', async () => {
  const dataDir = await temporaryFolder()
  const { folders, journal, send, remove } = await house(dataDir)
  const stream = begun(ago(40))
  await send(stream, 1, 10, ago(40))
  await remove()
  expect(Object.keys(readJournals(folders.streams))).toEqual([`${marks}/${stream}.ndjson`])
  expect(due(folders, today, keep.logsDays)).toEqual([])
  await journal.close()
  const again = await house(dataDir)
  expect(await again.send(stream, 1, 10, today)).toMatchObject({ acked: 10, appended: 0 })
  expect(await again.send(stream, 12, 12, today)).toEqual({ expected: 11 })
  expect(await again.send(stream, 11, 12, today)).toMatchObject({ acked: 12, appended: 2 })
  // An entry of long ago, held at its process meanwhile, is not published either.
  await again.send(begun(ago(40), 'slo'), 1, 1, ago(40))
  expect(due(folders, today, keep.logsDays)).toEqual([])
})

test('a mark goes when its stream was silent for 30 days and its process has begun another', async () => {
  const { folders, send, remove, counted } = await house(await temporaryFolder())
  const [old, newer, alone] = [begun(ago(50)), begun(ago(5)), begun(ago(50), 'slo')]
  const lately = begun(ago(45), 'converter')
  await send(old, 1, 3, ago(50))
  await send(newer, 1, 3, ago(5))
  await send(alone, 1, 3, ago(50))
  // Silent for less than 30 days, though what it sent is older.
  await send(lately, 1, 3, ago(45))
  await send(begun(ago(4), 'converter'), 1, 1, ago(4))
  await remove(ago(50 - limits.streamAge.value), { logsDays: 10, revisionsDays: 1 })
  expect(list(join(folders.streams, marks)).sort()).toEqual([lately, alone].map(each => `${each}.ndjson`))
  await remove()
  expect(list(join(folders.streams, marks))).toEqual([`${alone}.ndjson`])
  expect(await counted({ limit: 'streamAge' })).toBe(2)
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
  expect(list(folders.days)).toHaveLength(9)
  await remove()
  expect(list(folders.days).every(name => name.startsWith(`${day}.r3.`))).toBe(true)
  expect(list(folders.days)).toHaveLength(3)
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

test('the log server does it by itself from its start, and takes entries meanwhile', async () => {
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
  await until(() => list(folders.days).length === 0 && !existsSync(join(folders.streams, old)), {
    what: 'the end of a day of five days ago',
  })
  const metrics = await fetch(`${server.endpoints.logsAdmin}/metrics`)
  expect(await metrics.text()).toContain('tintype_limit_reached_total{limit="logAge"} 2')
  expect((await fetch(`${server.endpoints.logsAdmin}/livez`)).status).toBe(200)
  const { keep: shown } = (await (await fetch(`${server.endpoints.logs}/sizing.json`)).json()) as {
    keep: unknown
  }
  expect(shown).toEqual({ logsDays: 2, revisionsDays: 1 })
})
