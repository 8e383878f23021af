import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { cluster } from '../../test/logs/cluster.ts'
import { cutPower } from '../../test/logs/power-cut.ts'
import { temporaryFolder, until } from '../../test/support.ts'
import { foldersIn } from './files.ts'
import { line, lines, readJournals, session, stamped, writeJournal } from './fixture.ts'
import { isSound, verify } from './verify.ts'

/** Every fsync of the log server and of a publish: with it nothing acknowledged is lost, without it something is. */

const shim = join(import.meta.dirname, '../../test/logs/power-loss.ts')
const stream = 'web.0.1700000000'
const day = '2026-11-22'
const noon = `${day}T12:00:00.000Z`

async function house() {
  const dataDir = await temporaryFolder()
  const folders = foldersIn(dataDir)
  // That they exist is not what is tested: a folder of data is made once.
  for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true })
  const record = join(dataDir, 'record')
  const run = cluster(dataDir)
  const under = (lie?: string) => ({
    NODE_OPTIONS: `--import=${shim}`,
    POWER_RECORD: record,
    // The test's day is long ago.
    KEEP_LOGS_DAYS: '0',
    ...(lie && { LIE: lie }),
  })
  const start = async (given: Record<string, string>) => {
    const server = await run.startServer(given)
    onTestFinished(async () => void (await server.stop('SIGKILL')))
    return {
      async post(body: string) {
        const headers = { authorization: `Bearer ${run.token}`, 'tintype-clock': new Date().toISOString() }
        const address = `${server.endpoints.logs}/streams/${stream}`
        const response = await fetch(address, { method: 'POST', headers, body }).catch(() => undefined)
        return response?.status
      },
      async cut() {
        await server.stop('SIGKILL')
        cutPower(folders.streams, record)
      },
    }
  }
  return { run, start, under, folders, record }
}

const kept = (folder: string) =>
  Object.entries(readJournals(folder))
    .filter(([name]) => name.includes(stream))
    .flatMap(([, entries]) => entries.map(({ payload }) => (payload as { n: number }).n))
const oneTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

/** Acknowledged, then the power fails: what is left of entries 1 to 20. */
async function afterAck(lie?: string): Promise<number[]> {
  const { start, under, folders } = await house()
  const server = await start(under(lie))
  expect(await server.post(lines(stream, 1, 10, noon))).toBe(200)
  expect(await server.post(lines(stream, 11, 20, noon))).toBe(200)
  await server.cut()
  return kept(folders.streams)
}

/** Killed between write and fdatasync, started again, acknowledged as a duplicate, then the power fails. */
async function afterDuplicate(lie?: string): Promise<number[]> {
  const { start, under, folders } = await house()
  const first = await start({ ...under(), FAULT_POINT: 'ingest.appended:1' })
  expect(await first.post(lines(stream, 1, 10, noon))).toBeUndefined()
  const second = await start(under(lie))
  expect(await second.post(lines(stream, 1, 10, noon))).toBe(200)
  await second.cut()
  return kept(folders.streams)
}

const file = `${stream}.ndjson$`

test('what the log server acknowledged outlives a power cut', async () => {
  expect(await afterAck()).toEqual(oneTo(20))
  expect(await afterDuplicate()).toEqual(oneTo(10))
})

test.each([
  ['the stream’s file', file],
  ['the folder of its day', '/streams/[0-9-]+$'],
  ['the folder of days', '/streams$'],
])('without the sync of %s it would not', async (_what, lie) => {
  expect(await afterAck(lie)).not.toEqual(oneTo(20))
})

test('without the sync at the start what was acknowledged as a duplicate would not', async () => {
  expect(await afterDuplicate(file)).not.toEqual(oneTo(10))
})

/** Published, or killed at a fault point, then the power fails: what verify says of the day. */
async function afterPublish(given: { lie?: string; fault?: string; kept?: RegExp }): Promise<string> {
  const { run, under, folders, record } = await house()
  for (const n of oneTo(50))
    writeJournal(folders.streams, day, stream, stamped(line(stream, n, noon, { session }), noon))
  const fault = given.fault && { FAULT_POINT: given.fault }
  const { code } = await run.logs(['publish', '--day', day], { ...under(given.lie), ...fault })
  expect(code).toBe(fault ? null : 0)
  cutPower(folders.days, record, given.kept)
  const [verdict] = await verify(folders, day)
  return verdict === undefined ? 'not published' : isSound(verdict) ? 'whole' : 'damaged'
}

test('what was published outlives a power cut whole, and a power cut in between leaves no half of it', async () => {
  expect(await afterPublish({})).toBe('whole')
  expect(await afterPublish({ fault: 'publish.renamed:1' })).toBe('not published')
  expect(await afterPublish({ fault: 'publish.before-manifest:1' })).toBe('not published')
  expect(await afterPublish({ fault: 'publish.manifest-renamed:1', kept: /manifest/ })).toBe('whole')
})

test.each([
  ['the day’s file', { lie: 'ndjson\\.draft$' }, 'damaged'],
  ['its index', { lie: 'index.draft$' }, 'damaged'],
  ['its manifest', { lie: 'manifest' }, 'not published'],
  ['its folder', { lie: '/days$' }, 'not published'],
  [
    'its folder before the manifest',
    { lie: '/days$', fault: 'publish.manifest-renamed:1', kept: /manifest/ },
    'damaged',
  ],
])('without the sync of %s it would not', async (_what, given, becomes) => {
  expect(await afterPublish(given)).toBe(becomes)
})

/** Entries whose log calls returned over 50 ms before the power failed: which are in the local journal. */
async function afterLogging(lie?: string): Promise<{ returned: number[]; kept: number[] }> {
  const { run, under, folders, record } = await house()
  const writer = run.startWriter(1, { ...under(lie), LIMIT: '300', LINGER: 'yes' })
  await until(() => writer.returned().length === 299)
  // The claim is about time, so it is time that is waited for; the margin is for a busy machine.
  await sleep(1_000)
  writer.child.kill('SIGKILL')
  await writer.ended
  cutPower(folders.journals, record)
  return {
    returned: writer.returned(),
    kept: Object.values(readJournals(folders.journals))
      .flat()
      .map(({ payload }) => (payload as { n: number }).n),
  }
}

test('what a service logged outlives a power cut after the stated 50 ms', async () => {
  const { returned, kept } = await afterLogging()
  expect(kept).toEqual(returned)
})

test.each([
  ['the segment', 'ndjson$'],
  ['its folder', 'web.0$'],
])('without the sync of %s it would not', async (_what, lie) => {
  expect((await afterLogging(lie)).kept).toEqual([])
})
