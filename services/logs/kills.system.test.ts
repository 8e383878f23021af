import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { cluster, judge, publishedIn, type Writer } from '../../test/logs/cluster.ts'
import { type Started, temporaryFolder, until } from '../../test/support.ts'
import { dayFile, publish } from './daily.ts'
import { type Folders, foldersIn } from './files.ts'
import { line, readJournals, stamped, writeJournal } from './fixture.ts'
import { waitForShipping } from './unshipped.ts'
import { isSound, verify } from './verify.ts'

/**
 * kill -9 of everything at every named point and at random, with one oracle: the numbers whose log calls returned
 * are published, each once, in order, and no other.
 */

const dataDir = await temporaryFolder(afterAll)
const run = cluster(dataDir)
const writers: Writer[] = []
let server: Started | undefined

afterAll(async () => {
  for (const { child } of writers) child.kill('SIGKILL')
  await server?.stop('SIGKILL')
})

/** In place of the one that runs. */
async function startServer(faultPoint?: string): Promise<void> {
  await server?.stop('SIGKILL')
  server = await run.startServer(faultPoint ? { FAULT_POINT: faultPoint } : {})
}

/** Each writer counts on from a number of its own, so that no two entries are alike. */
function startWriter(faultPoint?: string): Writer {
  const writer = run.startWriter(writers.length * 1_000_000, faultPoint ? { FAULT_POINT: faultPoint } : {})
  writers.push(writer)
  return writer
}

const logs = async (writer: Writer, more: number) => {
  const before = writer.returned().length
  await until(() => writer.returned().length >= before + more, { what: `${more} more entries` })
}

/** Publishes all there is once it is shipped, and gives what the ledger and verify find wrong with it. */
async function faultsOf(folders: Folders, writers: Writer[]): Promise<unknown[]> {
  const living = writers.at(-1)?.child
  living?.kill('SIGUSR2')
  await until(async () => (await waitForShipping(folders)).length === 0)
  living?.kill('SIGTERM')
  await writers.at(-1)?.ended
  const days = readdirSync(folders.streams).filter(name => /^\d{4}/.test(name))
  const files: string[] = []
  for (const day of days.sort()) {
    const manifest = await publish(folders, day)
    if (manifest) files.push(dayFile(folders.days, manifest))
  }
  const unsound = (await verify(folders)).filter(verdict => !isSound(verdict))
  return [...judge(writers, publishedIn(files)), ...unsound]
}

const faults = () => faultsOf(foldersIn(dataDir), writers)

test.each(['ingest.before-append', 'ingest.appended', 'ingest.synced'])(
  'the log server is killed at %s: nothing is lost or doubled',
  async point => {
    await startServer(`${point}:3`)
    const writer = startWriter()
    await until(() => server?.child.signalCode === 'SIGKILL')
    await logs(writer, 100)
    await startServer()
    expect(await faults()).toEqual([])
  },
)

test.each(['journal.written:150', 'ship.before-send:3', 'ship.answered:3'])(
  'a service is killed at %s: nothing is lost or doubled',
  async point => {
    if (!server) await startServer()
    expect(await startWriter(point).ended).toEqual({ killed: true })
    const writer = startWriter()
    await logs(writer, 100)
    expect(await faults()).toEqual([])
  },
)

test.each([
  'publish.merged',
  'publish.renamed',
  'publish.before-manifest',
  'publish.manifest-renamed',
  'publish.done',
])('a publish is killed at %s: the next one is whole', async point => {
  const folder = await temporaryFolder()
  const folders = foldersIn(folder)
  const stream = 'web.0.1700000000'
  const at = '2026-11-22T12:00:00.000Z'
  for (let n = 1; n <= 100; n++)
    writeJournal(folders.streams, '2026-11-22', stream, stamped(line(stream, n, at), at))
  const { code } = await cluster(folder).logs(['publish', '--day', '2026-11-22'], {
    FAULT_POINT: `${point}:1`,
  })
  expect(code).toBeNull()
  expect(await publish(folders, '2026-11-22')).toMatchObject({ revision: 1, entries: 100 })
  expect((await verify(folders)).every(isSound)).toBe(true)
})

const rounds = process.env.TEST_FULL ? 60 : 6

test(`${rounds} kills at random moments, of services and server: nothing is lost or doubled`, async () => {
  if (!server) await startServer()
  let writer = startWriter()
  for (let round = 0; round < rounds; round++) {
    await logs(writer, 1 + Math.floor(Math.random() * 200))
    if (round % 2 === 0) {
      await server?.stop('SIGKILL')
      await logs(writer, 20)
      await startServer()
    } else {
      writer.child.kill('SIGKILL')
      await writer.ended
      writer = startWriter()
    }
  }
  await logs(writer, 1)
  expect(await faults()).toEqual([])
})

test('a second log server on one folder refuses to start', async () => {
  await expect(run.startServer({ LOGS_PORT: '0' })).rejects.toThrow('another log server owns')
})

const isRoot = process.getuid?.() === 0

/** A disk of so many bytes at a folder. */
async function smallDisk(folder: string, bytes: number): Promise<{ grow: (bytes: number) => void }> {
  await mkdir(folder, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder])
  onTestFinished(() => void execFileSync('umount', ['-l', folder]))
  return { grow: to => void execFileSync('mount', ['-o', `remount,size=${to}`, folder]) }
}

test.skipIf(!isRoot)(
  'the server’s disk is full for a while: nothing is lost or doubled (needs root for a small disk)',
  async () => {
    const folder = await temporaryFolder()
    const disk = await smallDisk(join(folder, 'logs', 'streams'), 2 ** 18)
    const house = cluster(folder)
    const small = await house.startServer()
    onTestFinished(async () => void (await small.stop('SIGKILL')))
    const writer = house.startWriter(0)
    await until(() => small.stderr().includes('ingest.refused'), { what: 'a refusal', timeoutMs: 60_000 })
    const metrics = await (await fetch(`${small.endpoints.logsAdmin}/metrics`)).text()
    expect(metrics).toContain(`tintype_disk_size_bytes ${2 ** 18}\n`)
    disk.grow(2 ** 26)
    expect(await faultsOf(foldersIn(folder), [writer])).toEqual([])
  },
)

test.skipIf(!isRoot)(
  'a service’s disk is full for a while: it goes on, and its log says how many are lost (needs root)',
  async () => {
    const folder = await temporaryFolder()
    const journals = join(folder, 'logs', 'journal')
    const disk = await smallDisk(journals, 2 ** 17)
    const house = cluster(folder)
    const writer = house.startWriter(0, { LOGS_URL: 'http://127.0.0.1:9' })
    await until(() => writer.returned().length > 2_000)
    disk.grow(2 ** 26)
    const returned = writer.returned().length
    await until(() => writer.returned().length > returned + 100)
    writer.child.kill('SIGTERM')
    await writer.ended
    const payloads = Object.values(readJournals(journals))
      .flat()
      .map(({ payload }) => payload as { event: string; entries?: number })
    const lost = payloads
      .filter(({ event }) => event === 'log.lost')
      .reduce((sum, { entries }) => sum + Number(entries), 0)
    expect(lost).toBeGreaterThan(100)
    expect(payloads.filter(({ event }) => event === 'test.entry').length + lost).toBe(
      writer.returned().length,
    )
  },
)
