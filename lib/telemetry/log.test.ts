import { execFile } from 'node:child_process'
import { once } from 'node:events'
import fs, {
  chownSync,
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test, vi } from 'vitest'
import { sampleIn, temporaryFolder, until } from '../../test/support.ts'
import { limits } from '../limits.ts'
import { openAccount } from '../photo/account.ts'
import { openJournal } from './journal.ts'
import { complainer, createLog, type Log } from './log.ts'
import { createMetrics } from './metrics.ts'

const session = '0123456789abcdef'

async function logInFolder(): Promise<{ log: Log; folder: string; lines: () => string[] }> {
  const folder = await temporaryFolder()
  const destination = { url: () => undefined, token: () => '' }
  const log = createLog({ service: 'web', instance: '0', level: 'info', journal: { folder, destination } })
  return { log, folder, lines: () => linesOf(join(folder, 'web.0')) }
}

const linesOf = (folder: string): string[] =>
  readdirSync(folder)
    .filter(name => name.endsWith('.ndjson'))
    .flatMap(name => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))

test('an entry is in the journal when the call returns, with the schema’s four members in order', async () => {
  const { log, lines } = await logInFolder()
  log.info('photo.accepted', { photo: 'p1' }, session)
  const [line] = lines()
  const entry = JSON.parse(line ?? '')
  expect(Object.keys(entry)).toEqual(['id', 'session', 'timestamp', 'payload'])
  expect(entry.id).toMatch(/^web\.0\.\d{10}\.1$/)
  expect(entry.session).toBe(session)
  expect(entry.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  expect(entry.payload).toEqual({ event: 'photo.accepted', level: 'info', photo: 'p1' })
  await log.close()
})

test('sequence numbers run without a gap, and an entry below the level uses none', async () => {
  const { log, lines } = await logInFolder()
  log.info('a')
  log.debug('hidden')
  log.info('b')
  expect(lines().map(line => JSON.parse(line).id.split('.')[3])).toEqual(['1', '2'])
  await log.close()
})

test('the outcome of a promise is logged at any level: slo compares its counts with these entries', async () => {
  const folder = await temporaryFolder()
  const journal = { folder, destination: { url: () => undefined, token: () => '' } }
  const log = createLog({ service: 'web', instance: '0', level: 'error', journal })
  openAccount(createMetrics('web', '0'), log).settled({ photo: 'p', owner: 'ab'.repeat(16) }, 'kept')
  log.info('hidden')
  const events = linesOf(join(folder, 'web.0')).map(line => JSON.parse(line).payload.event)
  expect(events).toEqual(['promise.kept'])
  await log.close()
})

test('detail raised for one session appears for that session alone and falls back by itself', async () => {
  const { log, lines } = await logInFolder()
  log.setLevel({ level: 'debug', session, forSeconds: 60 })
  log.debug('seen', {}, session)
  log.debug('hidden', {}, 'fedcba9876543210')
  log.debug('hidden')
  expect(log.level().raised).toMatchObject([{ session, level: 'debug' }])
  log.setLevel({ level: 'debug', session, forSeconds: 0.05 })
  await expect.poll(() => log.detailed(session)).toBe(false)
  log.debug('hidden', {}, session)
  expect(log.level()).toEqual({ level: 'info', raised: [] })
  expect(lines().map(line => JSON.parse(line).payload.event)).toEqual(['seen'])
  await log.close()
})

test('what cannot be written as it is says so: circles, ten megabytes, a half surrogate, a session that is none', async () => {
  const { log, lines } = await logInFolder()
  const circle: Record<string, unknown> = {}
  circle.self = circle
  log.info('circle', circle)
  log.info('long', { text: 'x'.repeat(10 * 2 ** 20) })
  log.info('half', { text: '\ud800' }, 'not a session","x":"')
  log.info('error', { error: new Error('no room', { cause: new Error('the disk') }) })
  const [ofThread] = await once(new Worker('throw Error("lost")', { eval: true }), 'error')
  log.info('of a thread', { error: ofThread })
  const [first, second, third, fourth, fifth] = lines().map(line => JSON.parse(line))
  expect(first.payload.unserialisable).toContain('circular')
  expect(second.payload.cutFromBytes).toBeGreaterThan(10 * 2 ** 20)
  expect(second.payload.start).toHaveLength(1024)
  expect(third).toMatchObject({ session: null, payload: { text: '\ud800' } })
  expect(fourth.payload.error).toMatch(/no room.*caused by: Error: the disk/s)
  expect(fifth.payload.error).toContain('Error: lost\n    at ')
  await log.close()
})

test('without a journal what is wanted goes to standard error, also below warnings', async () => {
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  onTestFinished(() => written.mockRestore())
  const log = createLog({ service: 'web', instance: '0', level: 'info' })
  log.debug('unwanted')
  log.info('begun')
  await log.close()
  expect(written.mock.calls.map(([text]) => text)).toEqual([expect.stringMatching(/ info begun .*\n$/)])
})

/** What happened in the meantime, as the process's metrics tell. */
async function timesReached(limit: string): Promise<number> {
  return sampleIn(metrics, `tintype_limit_reached_total{limit="${limit}"}`)
}
const metrics = createMetrics('web', '0')

test('the error that ends a process is its last entry', async () => {
  const folder = await temporaryFolder()
  const script = `
    import { openLog } from '${import.meta.dirname}/log.ts'
    const config = { DATA_DIR: '${folder}', FLUSH_SECONDS: 0, HOST: '127.0.0.1', INSTANCE: '0', LOG_LEVEL: 'info' }
    openLog('web', { ...config, LOGS_PORT: 0, LOGS_URL: '', INGEST_TOKEN: 'secret' }).info('first')
    Promise.reject(new Error('the disk is gone'))`
  const ended = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  await expect(ended).rejects.toThrow('the disk is gone')
  const entries = linesOf(join(folder, 'logs', 'journal', 'web.0')).map(each => JSON.parse(each).payload)
  expect(entries).toMatchObject([{ event: 'first' }, { event: 'process.failed', level: 'error' }])
  expect(entries[1].error).toContain('the disk is gone\n    at ')
})

test('an error after the log was closed is on standard error as before', async () => {
  const { log } = await logInFolder()
  await log.close()
  const written: string[] = []
  const spies = (['error', 'warn', 'log'] as const).map(name =>
    vi.spyOn(console, name).mockImplementation(text => void written.push(String(text))),
  )
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation(text => written.push(String(text)) > 0)
  log.error('test.failed', { n: 1 })
  for (const each of [...spies, spy]) each.mockRestore()
  expect(written.join('')).toContain('error test.failed {"event":"test.failed","level":"error","n":1}')
  expect(written.join('')).not.toContain('winston')
})

test('an error that is reported once is not hidden by one that returns each second', () => {
  const written: string[] = []
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation(text => written.push(String(text)) > 0)
  const complain = complainer('log.trouble')
  const all = ['entries wait', '1 entries lost', 'entries wait', '2 entries lost', 'Another ships as web.0']
  for (const each of all) complain(new Error(each))
  spy.mockRestore()
  expect(written.map(text => text.replace(/^.*log\.trouble /, '').trim())).toEqual([all[0], all[1], all[4]])
})

test('facts over their limit are cut, and counted', async () => {
  const before = await timesReached('logPayload')
  const { log, lines } = await logInFolder()
  log.info('fits', { text: 'x'.repeat(limits.logPayload.value - 50) })
  log.info('long', { text: 'x'.repeat(limits.logPayload.value) })
  expect(lines().map(line => 'cutFromBytes' in JSON.parse(line).payload)).toEqual([false, true])
  expect(await timesReached('logPayload')).toBe(before + 1)
  await log.close()
})

test('more sessions than may be are not raised', async () => {
  const { log } = await logInFolder()
  const session = (n: number) => n.toString(16).padStart(16, '0')
  for (let n = 0; n <= limits.raisedLevels.value; n++)
    log.setLevel({ level: 'debug', session: session(n), forSeconds: 60 })
  expect(log.detailed(session(0))).toBe(true)
  expect(log.detailed(session(limits.raisedLevels.value))).toBe(false)
  expect(await timesReached('raisedLevels')).toBe(1)
  await log.close()
})

test('a journal that the log server has not taken for long takes no more: entries are lost, counted, and nothing throws', async () => {
  const folder = await temporaryFolder()
  mkdirSync(join(folder, 'web.0'))
  // Sparse: it takes no room on the disk.
  const held = openSync(join(folder, 'web.0', '1700000000.1.ndjson'), 'w')
  ftruncateSync(held, limits.journalHeld.value)
  closeSync(held)
  const destination = { url: () => undefined, token: () => '' }
  const log = createLog({ service: 'web', instance: '0', level: 'info', journal: { folder, destination } })
  log.info('a')
  log.info('b')
  expect(readdirSync(join(folder, 'web.0')).filter(name => name.endsWith('.ndjson'))).toHaveLength(1)
  expect(await timesReached('journalHeld')).toBe(2)
  await log.close()
})

test('a journal whose folder somebody removed goes on in a new one, and says how many entries were lost', async () => {
  const { log, folder, lines } = await logInFolder()
  const writeSegment = () => {
    for (let n = 0; n < 80; n++) log.info('test.entry', { text: 'x'.repeat(60_000) })
  }
  writeSegment()
  rmSync(folder, { recursive: true })
  writeSegment()
  expect(lines().map(each => JSON.parse(each).payload)).toContainEqual({
    event: 'log.lost',
    level: 'error',
    entries: 1,
  })
  expect(JSON.parse(lines()[0] ?? '').id).toMatch(/^web\.0\.\d+\.1$/)
  await log.close()
})

test.each([
  ['removed', (file: string) => rmSync(file)],
  ['renamed', (file: string) => renameSync(file, `${file}.1`)],
])(
  'when a person %s the file that a journal writes to, later entries are in a new one',
  async (_what, take) => {
    const { log, folder, lines } = await logInFolder()
    log.info('lost')
    for (const name of readdirSync(join(folder, 'web.0')).filter(name => name.endsWith('.ndjson')))
      take(join(folder, 'web.0', name))
    await until(() => {
      log.info('kept')
      return lines().length > 1
    })
    expect(lines().map(line => JSON.parse(line).payload.event)).not.toContain('lost')
    await log.close()
  },
)

test('what root logs, as by sudo, belongs to the owner of the folder, whose next start ships it', async context => {
  if (process.getuid?.() !== 0) context.skip('only root may give files away')
  const { log, folder } = await logInFolder()
  chownSync(folder, 54321, 54321)
  log.info('a')
  await log.close()
  for (const name of readdirSync(join(folder, 'web.0')))
    expect([name, statSync(join(folder, 'web.0', name)).uid]).toEqual([name, 54321])
})

test('while the clock is set back detail still falls back in time, and a journal that could not be opened is tried again', async () => {
  const folder = await temporaryFolder()
  const inTheWay = join(folder, 'web.0')
  writeFileSync(inTheWay, '')
  const destination = { url: () => undefined, token: () => '' }
  const log = createLog({ service: 'web', instance: '0', level: 'info', journal: { folder, destination } })
  log.info('lost')
  log.setLevel({ level: 'debug', forSeconds: 0.05 })
  rmSync(inTheWay)
  const now = Date.now
  vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000)
  onTestFinished(() => void vi.restoreAllMocks())
  await expect.poll(() => log.detailed()).toBe(false)
  await until(() => {
    log.info('kept')
    return existsSync(inTheWay) && linesOf(inTheWay).length > 0
  })
  expect(JSON.parse(linesOf(inTheWay)[0] ?? '').payload).toMatchObject({ event: 'log.lost' })
  await log.close()
})

test('more processes of one instance than may be have no journal', async () => {
  const folder = await temporaryFolder()
  const append = () => {
    const journal = openJournal(folder, 'web.0', () => {})
    onTestFinished(() => journal.close())
    journal.append(id => `${id}\n`)
  }
  for (let n = 0; n < limits.journals.value; n++) append()
  expect(append).toThrow('are in use')
  expect(await timesReached('journals')).toBe(1)
})

/** What a faulty disk does to the next calls of a kind, one each. */
function faulty<N extends 'fstatSync' | 'ftruncateSync' | 'writeSync'>(
  name: N,
  ...faults: ((real: (typeof fs)[N]) => unknown)[]
) {
  const real = fs[name] as (...given: unknown[]) => unknown
  const call = (...given: unknown[]) =>
    faults.shift()?.(real.bind(undefined, ...given) as never) ?? real(...given)
  fs[name] = call as never
  syncBuiltinESMExports()
  onTestFinished(() => {
    fs[name] = real as never
    syncBuiltinESMExports()
  })
}

test('what a faulty disk took of half a line is cut off before the next one, or nothing is written', async () => {
  const folder = await temporaryFolder()
  const journal = openJournal(folder, 'web.0', () => {})
  onTestFinished(() => journal.close())
  const append = () => journal.append(id => `{"id":"${id}"}\n`)
  append()
  const fail = () => {
    throw new Error('EIO: i/o error')
  }
  const { writeSync } = fs
  faulty('writeSync', () => writeSync(openSync(journal.segments()[0]?.file ?? '', 'a'), '{"id":"half'))
  faulty('ftruncateSync', fail)
  expect(append).toThrow('only 11 of')
  expect(append).toThrow('EIO')
  append()
  const lines = readFileSync(journal.segments()[0]?.file ?? '', 'utf8').split('\n')
  expect(lines.map(line => line.split('.')[3])).toEqual(['1"}', '2"}', undefined])
})

test('a file that cannot be looked at after its fsync, as on a network disk that was away, ends no process', async () => {
  const troubles: unknown[] = []
  const journal = openJournal(await temporaryFolder(), 'web.0', error => troubles.push(error))
  onTestFinished(() => journal.close())
  const stale = new Error('ESTALE: stale file handle')
  faulty('fstatSync', () => {
    throw stale
  })
  journal.append(id => `{"id":"${id}"}\n`)
  await until(() => troubles.length > 0)
  expect(troubles).toEqual([stale])
})
