import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { dayMs, dayOf } from '@tintype/lib/day.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import { limits } from '@tintype/lib/limits.ts'
import { openJournal } from '@tintype/lib/telemetry/journal.ts'
import { createLog, type Log } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { shipOrphans } from '@tintype/lib/telemetry/orphans.ts'
import { ownFolder } from '@tintype/lib/telemetry/own.ts'
import { startShipping } from '@tintype/lib/telemetry/ship.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startProxy } from '../../test/proxy.ts'
import { sampleIn, temporaryFolder, until } from '../../test/support.ts'
import { freePort } from '../../tools/free-port.ts'
import { createLogsApp } from './app.ts'
import { openClock } from './clock.ts'
import { foldersIn } from './files.ts'
import {
  countLines,
  line,
  lines,
  parseLines,
  readJournals,
  session,
  stamped,
  writeJournal,
} from './fixture.ts'
import { openServerJournal } from './streams.ts'

const token = 'secret-of-the-shippers'

/** A log server in this process, and what it keeps. */
async function startServer(folder: string, { port = 0, clock = openClock() } = {}) {
  const journal = openServerJournal(folder)
  const quiet = createLog({ service: 'logs', instance: '0', level: 'error' })
  const metrics = createMetrics('logs', '0')
  const folders = { ...foldersIn(folder), streams: folder }
  const app = await createLogsApp({
    dataDir: folder,
    sloUrl: null,
    folders,
    journal,
    log: quiet,
    metrics,
    token: () => token,
    clock,
    keep: { logsDays: 30, revisionsDays: 1 },
  })
  const listening = await listen(app, '127.0.0.1', port)
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    listening.server.closeAllConnections()
    await listening.close(0)
    await journal.close()
  }
  onTestFinished(stop)
  return { url: listening.url, port: Number(new URL(listening.url).port), metrics, stop }
}

function startLog(folder: string, url: () => string | undefined, instance = '0'): Log {
  const journal = { folder, destination: { url, token: () => token } }
  const log = createLog({ service: 'web', instance, level: 'info', journal })
  onTestFinished(() => log.close())
  return log
}

/** The `n` of every entry kept, stream by stream. */
const kept = (folder: string) =>
  Object.values(readJournals(folder))
    .flat()
    .map(({ payload }) => (payload as { n: number }).n)
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
const write = (log: Log, from: number, to: number) => {
  for (let n = from; n <= to; n++) log.info('test.entry', { n, text: ' '.repeat(textLength) })
}
/** A segment of 4 MiB holds some 3,700 of such entries. */
const textLength = 1_000
const segments = (folder: string, source = 'web.0') =>
  readdirSync(join(folder, source)).filter(name => name.endsWith('.ndjson'))

/** A proxy that sends batches on when `gate` has answered, or refuses them with the status that it gives. */
async function startForwarding(
  to: string,
  gate: (body: Buffer) => number | undefined | Promise<void>,
): Promise<string> {
  const proxy = createServer(async (request, response) => {
    const body = await buffer(request)
    const status = await gate(body)
    if (status) return response.writeHead(status).end('<html>')
    const { url = '', headers } = request
    const answer = await fetch(`${to}${url}`, { method: 'POST', headers: headers as never, body })
    response.writeHead(answer.status).end(await answer.text())
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void proxy.close())
  await once(proxy, 'listening')
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}

test('a log server behind a proxy is reached under its prefix', async () => {
  const asked: string[] = []
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.end('{"acked":1}')
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void proxy.close())
  await once(proxy, 'listening')
  const { port } = proxy.address() as AddressInfo
  startLog(await temporaryFolder(), () => `http://127.0.0.1:${port}/logs/`).info('test.entry')
  await until(() => asked.length > 0)
  expect(asked[0]).toMatch(/^\/logs\/streams\/web\.0\./)
})

test('an answer of a proxy in place of the log server is reported by its status, with the start of a page or the address of a redirect', async () => {
  const location = 'https://logs.example/'
  const statuses = [200, 308]
  const proxy = createServer((_, response) =>
    response.writeHead(statuses.shift() ?? 308, statuses.length > 0 ? {} : { location }).end('<html>Log in'),
  ).listen(0)
  onTestFinished(() => void proxy.close())
  const journal = openJournal(await temporaryFolder(), 'web.0', () => {})
  onTestFinished(() => journal.close())
  const { port } = proxy.address() as AddressInfo
  const causes: string[] = []
  const destination = { url: () => `http://127.0.0.1:${port}`, token: () => token }
  const shipping = startShipping(journal, destination, error => causes.push(String((error as Error).cause)))
  onTestFinished(() => shipping.stop())
  journal.append(id => line(id.replace(/\.\d+$/, ''), 1, Date.now()))
  await until(() => causes.length > 1)
  expect(causes[0]).toContain('the log server answered 200 <html>Log in')
  expect(causes[1]).toContain(`the log server answered 308 to ${location}`)
})

test('a proxy that refuses large batches gets smaller ones, and every entry passes once', async () => {
  const at = await temporaryFolder()
  const server = await startServer(at)
  let refused = 0
  const url = await startForwarding(server.url, body => {
    if (body.length <= 40_000) return
    refused++
    return 413
  })
  write(
    startLog(await temporaryFolder(), () => url),
    1,
    300,
  )
  await until(() => countLines(at) >= 300)
  expect(kept(at)).toEqual(upTo(300))
  expect(refused).toBeGreaterThan(2)
})

test('entries come in order and once, and what is acknowledged is freed', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const server = await startServer(at)
  const log = startLog(local, () => server.url)
  write(log, 1, 5_000)
  await until(() => countLines(at) >= 5_000)
  expect(kept(at)).toEqual(upTo(5_000))
  expect(segments(local)).toHaveLength(1)
  const counted = async () => (await server.metrics.render(undefined)).body
  await expect.poll(counted).toContain('tintype_log_entries_total{stream="web.0"} 5000')
  expect(await counted()).toMatch(/tintype_log_lag_seconds\{stream="web.0"\} \d/)
})

test('the series of a process that sent nothing for a day are removed', async () => {
  const { url, metrics } = await startServer(await temporaryFolder())
  const send = (source: string) =>
    fetch(`${url}/streams/${source}.1700000000`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: lines(`${source}.1700000000`, 1, 1, Date.now()),
    })
  await send('web.gone')
  const now = performance.now.bind(performance)
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 86_400_000)
  await send('web.there')
  clock.mockRestore()
  const { body } = await metrics.render(undefined)
  expect(body.match(/^tintype_log_\w+\{stream="web\.\w+"\}/gm)).toHaveLength(3)
  expect(body).not.toContain('web.gone')
})

test('acknowledgements that are lost on the way double nothing', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const server = await startServer(at)
  const proxy = await startProxy(server.url)
  proxy.dropAnswers(4)
  const log = startLog(local, () => proxy.url)
  write(log, 1, 2_500)
  await until(() => countLines(at) >= 2_500, { what: '2,500 entries' })
  expect(proxy.dropped()).toBe(4)
  expect(kept(at)).toEqual(upTo(2_500))
})

test('the lag of a stream is measured by the clock that the server believes', async () => {
  const nowMs = Date.now()
  // This machine's clock is a day ahead of the one that its shippers agree on.
  const clock = { believed: () => nowMs, receive: () => ({ receivedMs: nowMs - dayMs, offsetMs: 0 }) }
  const { url, metrics } = await startServer(await temporaryFolder(), { clock })
  const headers = { authorization: `Bearer ${token}` }
  const body = line('web.0.17', 1, nowMs - dayMs - 5_000)
  const { status } = await fetch(`${url}/streams/web.0.17`, { method: 'POST', headers, body })
  expect(status).toBe(200)
  const lag = await sampleIn(metrics, 'tintype_log_lag_seconds{stream="web.0"}')
  expect(lag).toBeGreaterThanOrEqual(5)
  expect(lag).toBeLessThan(15)
})

test('entries wait while the clock of the log server says 1970: once it is right, they would be removed by age', async () => {
  const clock = { ...openClock(), receive: () => ({ receivedMs, offsetMs: 0 }) }
  let receivedMs = 30_000
  const at = await temporaryFolder()
  const { url } = await startServer(at, { clock })
  const headers = { authorization: `Bearer ${token}` }
  const send = () =>
    fetch(`${url}/streams/web.0.17`, { method: 'POST', headers, body: line('web.0.17', 1, 30_000) })
  const refused = await send()
  expect([refused.status, await refused.text()]).toEqual([
    503,
    expect.stringContaining('clock says 1970-01-01T00:00:30.000Z'),
  ])
  receivedMs = Date.now()
  expect((await send()).status).toBe(200)
  expect(Object.keys(readJournals(at))).toEqual([`${dayOf(receivedMs)}/web.0.17.ndjson`])
})

test('entries wait for a server that is away, over a restart of their service too', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const first = await startServer(at, { port: await freePort() })
  await first.stop()
  const before = startLog(local, () => first.url)
  write(before, 1, 300)
  await before.close()
  const after = startLog(local, () => first.url)
  write(after, 301, 600)
  expect(after.unshipped()).toBeGreaterThan(600 * textLength)
  await startServer(at, { port: first.port })
  await until(() => countLines(at) >= 600)
  expect(kept(at)).toEqual(upTo(600))
  await until(() => after.unshipped() === 0)
  expect(Object.keys(readJournals(at))).toHaveLength(2)
})

test('a stop tries to reach a log server that is away for `flushMs`', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const first = await startServer(at, { port: await freePort() })
  await first.stop()
  const journal = {
    folder: local,
    destination: { url: () => first.url, token: () => token },
    flushMs: 30_000,
  }
  const log = createLog({ service: 'web', instance: '0', level: 'info', journal })
  write(log, 1, 100)
  const closed = log.close()
  expect(await Promise.race([closed, sleep(500, 'tries on')])).toBe('tries on')
  await startServer(at, { port: first.port })
  await closed
  expect(kept(at)).toEqual(upTo(100))
})

test('a shipper that lost its folder begins a new epoch: its new entries are no duplicates', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const server = await startServer(at)
  const before = startLog(local, () => server.url)
  write(before, 1, 100)
  await until(() => countLines(at) >= 100)
  await before.close()
  rmSync(join(local, 'web.0'), { recursive: true })
  // Epochs are seconds: the same one within the same second is what the folder would have prevented.
  const second = Math.floor(Date.now() / 1000)
  await until(() => Math.floor(Date.now() / 1000) > second)
  write(
    startLog(local, () => server.url),
    101,
    200,
  )
  await until(() => countLines(at) >= 200)
  expect(kept(at)).toEqual(upTo(200))
})

test('a server that lost its folder takes what there still is, and the gap can be seen', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const first = await startServer(at, { port: await freePort() })
  const log = startLog(local, () => first.url)
  write(log, 1, 5_000)
  await until(() => countLines(at) >= 5_000 && segments(local).length === 1)
  await first.stop()
  rmSync(at, { recursive: true })
  await startServer(at, { port: first.port })
  write(log, 5_001, 5_010)
  await until(() => kept(at).at(-1) === 5_010)
  // What the newest segment still held was sent again, older entries are gone; nothing is doubled or out of order.
  const found = kept(at)
  expect(found).toEqual(upTo(5_010).slice(-found.length))
})

test('damaged lines of a journal hold up no others, and their numbers are a gap: invalid UTF-8, no JSON, ten megabytes', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const stream = 'web.0.1700000000'
  const good = (n: number) => lines(stream, n, n, '2026-11-22T12:00:00.000Z')
  const damaged = Buffer.from(good(2))
  damaged[damaged.indexOf('test.entry')] = 0xff
  const notJson = good(3).replace('"level"', '"lev"el"')
  const long = good(5).replace('test.entry', 'x'.repeat(10 * 2 ** 20))
  rmSync(join(local, 'web.0'), { recursive: true, force: true })
  const log = createLog({
    service: 'web',
    instance: '0',
    level: 'info',
    journal: { folder: local, destination: { url: () => undefined, token: () => token } },
  })
  log.info('makes.folder')
  await log.close()
  const bytes = [good(1), damaged, notJson, 'garbage\n', long, good(6)].map(each => Buffer.from(each))
  writeFileSync(join(local, 'web.0', '1700000000.1.ndjson'), Buffer.concat(bytes))
  const server = await startServer(at)
  startLog(local, () => server.url).info('opens.journal')
  const arrived = () =>
    Object.entries(readJournals(at)).flatMap(([name, entries]) => (name.includes(stream) ? entries : []))
  const entries = await until(() => arrived().length >= 2 && arrived())
  expect(entries.map(({ id }) => String(id).split('.')[3])).toEqual(['1', '6'])
})

test('a stream cannot be forged: without the token nothing is taken', async () => {
  const at = await temporaryFolder()
  const { url } = await startServer(at)
  const post = (headers: Record<string, string>, to = 'web.0.1700000000') =>
    fetch(`${url}/streams/${to}`, {
      method: 'POST',
      headers,
      body: lines('web.0.1700000000', 1, 1, Date.now()),
    })
  const refused = await post({})
  expect([refused.status, refused.headers.get('WWW-Authenticate')]).toEqual([401, 'Bearer'])
  expect((await post({ authorization: 'Bearer wrong' })).status).toBe(401)
  expect((await post({ authorization: `Bearer ${token}` }, 'web.0.1700000001')).status).toBe(400)
  expect((await post({ authorization: `Bearer ${token}` }, '..%2fweb.0.1')).status).toBe(400)
  expect(readJournals(at)).toEqual({})
  expect((await post({ authorization: token })).status).toBe(401)
  expect((await post({ authorization: `bearer ${token}` })).status).toBe(200)
})

test('a body that is too large is refused without being kept', async () => {
  const at = await temporaryFolder()
  const { url, metrics } = await startServer(at)
  const response = await fetch(`${url}/streams/web.0.1700000000`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: Buffer.alloc(limits.logBatchBytes.value + 1, 'x'),
  })
  expect(response.status).toBe(413)
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="logBatchBytes"}')).toBe(1)
  expect(readJournals(at)).toEqual({})
})

test('more batches at once than may be get 503 and Retry-After', async () => {
  const at = await temporaryFolder()
  const { url, metrics } = await startServer(at)
  const under = await Promise.all(
    Array.from({ length: limits.logBatches.value }, async (_, n) => {
      const headers = { authorization: `Bearer ${token}`, 'content-length': '100', expect: '100-continue' }
      const upload = request(`${url}/streams/web.${n}.1700000000`, { method: 'POST', headers })
      upload.on('error', () => {})
      onTestFinished(() => void upload.destroy())
      upload.flushHeaders()
      await once(upload, 'continue') // it has its place
      return upload
    }),
  )
  const one = () =>
    fetch(`${url}/streams/slo.0.1700000000`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: lines('slo.0.1700000000', 1, 1, Date.now()),
    })
  const refused = await one()
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('1')
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="logBatches"}')).toBe(1)
  for (const each of under) each.end('x'.repeat(100))
  await until(async () => (await one()).status === 200)
})

test('an entry of a hundred thousand brackets is shown with the others of its session', async () => {
  const { url } = await startServer(await temporaryFolder())
  const headers = { authorization: `Bearer ${token}` }
  const deep = line('web.0.1700000000', 1, Date.now(), { session }).replace(
    '"n":1',
    `"n":${'['.repeat(1e5)}${']'.repeat(1e5)}`,
  )
  const { status } = await fetch(`${url}/streams/web.0.1700000000`, { method: 'POST', headers, body: deep })
  const story = await fetch(`${url}/timeline.json?key=${session}`)
  expect([status, story.status, story.headers.get('content-type')]).toEqual([
    200,
    200,
    'application/json; charset=utf-8',
  ])
  expect((await story.text()).length).toBeGreaterThan(2e5)
})

test('more look-ups than may wait get 503', async () => {
  const at = await temporaryFolder()
  const { url, metrics } = await startServer(at)
  const look = () => fetch(`${url}/timeline.json?key=0123456789abcdef`).then(({ status }) => status)
  const statuses = await Promise.all(Array.from({ length: limits.lookUps.value + 10 }, look))
  expect(new Set(statuses)).toEqual(new Set([200, 503]))
  const refused = statuses.filter(status => status === 503).length
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="lookUps"}')).toBe(refused)
  expect(await look()).toBe(200)
})

test('a look-up that waits is not made when its client has left, and delays no other', async () => {
  const folder = await temporaryFolder()
  const { url, metrics } = await startServer(folder)
  const payload = { text: 'x'.repeat(60_000) }
  for (let n = 1; n <= limits.timelineBytes.value / 60_000 + 1; n++)
    writeJournal(
      folder,
      '2026-11-22',
      'web.0.17',
      stamped(
        line('web.0.17', n, '2026-11-22T00:00:00.000Z', { session, payload }),
        '2026-11-22T00:00:00.000Z',
      ),
    )
  const leaving = new AbortController()
  const look = (signal?: AbortSignal) =>
    fetch(`${url}/timeline.json?key=${session}`, { signal: signal ?? null })
  const looks = Array.from({ length: 12 }, () => look(leaving.signal))
  for (const each of looks) each.catch(() => {})
  await Promise.race(looks)
  leaving.abort()
  expect((await look()).status).toBe(200)
  // Each that was made counts. When the first was answered, two others were under way.
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="timelineBytes"}')).toBeLessThan(12)
})

test('a client that half-closed its connection gets its look-up also after it waited for its turn', async () => {
  const { port } = await startServer(await temporaryFolder())
  const look = async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.write('GET /recent.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await sleep(2)
    socket.end()
    return text(socket)
  }
  for (const answer of await Promise.all(Array.from({ length: 8 }, look))) expect(answer).toContain(' 200 OK')
})

test('entries are answered with the oldest day once earlier ones were removed by age, and not by a young server', async () => {
  const folder = await temporaryFolder()
  const { url } = await startServer(folder)
  const oldest = async (daysAgo: number) => {
    const day = dayOf(Date.now() - daysAgo * dayMs)
    mkdirSync(join(folder, day))
    const answer = await fetch(`${url}/entries.ndjson?from=2026-01-01&to=9999-01-01&event=test.`)
    return answer.headers.get('tintype-oldest-day') === day
  }
  expect(await oldest(28)).toBe(false)
  expect(await oldest(30)).toBe(true)
})

test('entries of a time are answered one a line; a day without any is said to have none', async () => {
  const { url } = await startServer(await temporaryFolder())
  const ask = (query: string) =>
    fetch(`${url}/entries.ndjson?from=2026-11-22T00:00:00Z&to=2026-11-23T00:00:00Z&${query}`)
  expect((await ask('event=test.')).status).toBe(404)
  const headers = { authorization: `Bearer ${token}` }
  const named = { session, payload: { event: 'User "1" sign_in', level: 'debug' } }
  const body = lines('web.0.1700000000', 1, 3, Date.now()) + line('web.0.1700000000', 4, Date.now(), named)
  await fetch(`${url}/streams/web.0.1700000000`, { method: 'POST', headers, body })
  const found = async (wanted: string) => {
    const answer = await fetch(`${url}/entries.ndjson?from=2026-01-01&to=9999-01-01&${wanted}`)
    return parseLines(await answer.text()).map(({ payload }) => (payload as { n: number }).n)
  }
  expect(await found('event=test.')).toEqual([1, 2, 3])
  expect(await found('event=test.&level=debug')).toEqual([])
  expect(await found('level=DEBUG')).toEqual([4])
  expect(await found('event=User%20%221%22%20sign_in&level=debug')).toEqual([4])
  const timeline = await fetch(`${url}/timeline.json?key=%20${session.toUpperCase()}`)
  expect(((await timeline.json()) as { entries: unknown[] }).entries).toHaveLength(1)
  // In the query of an address a plus sign means a space.
  for (const zone of ['+01:00', '%2B01:00', '-01:00']) {
    const from = `from=2026-01-01T00:00:00${zone}&to=9999-01-01`
    expect((await fetch(`${url}/entries.ndjson?${from}&event=test.`)).status, zone).toBe(200)
  }
  for (const bad of [
    'event=',
    'event=a&event=b',
    'level=loud',
    'event=test.&level=loud',
    'from=never&event=test.',
  ])
    expect((await ask(bad)).status, bad).toBe(400)
  // Without a zone it would be a time of the server's machine.
  for (const bad of [
    'from=2026-11-22T00:00:00&to=2026-11-23',
    'from=2026-11-23&to=2026-11-22',
    'from=2026-11-22&to=2026-11-22', // `to` is not included
    'from=2026-02-30&to=2026-11-22',
  ])
    expect((await fetch(`${url}/entries.ndjson?${bad}&event=test.`)).status, bad).toBe(400)
})

test('a journal that a person emptied while its process runs is shipped on', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const server = await startServer(at)
  const log = startLog(local, () => server.url)
  write(log, 1, 50)
  await until(() => countLines(at) >= 50)
  for (const name of segments(local)) truncateSync(join(local, 'web.0', name))
  write(log, 51, 60)
  await until(() => countLines(at) >= 60)
  expect(kept(at)).toEqual(upTo(60))
})

test('a journal that a person emptied is shipped whole when it has already grown past what was read', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const server = await startServer(at)
  const log = startLog(local, () => server.url)
  write(log, 1, 5)
  await until(() => log.unshipped() === 0)
  for (const name of segments(local)) truncateSync(join(local, 'web.0', name))
  log.info('test.entry', { n: 6, text: ' '.repeat(60_000) })
  write(log, 7, 10)
  await until(() => countLines(at) >= 10)
  expect(kept(at)).toEqual(upTo(10))
})

test('streams that the disk refuses are logged once a minute, also while others are taken', async () => {
  const at = await temporaryFolder()
  const { url } = await startServer(at)
  for (const stream of ['web.0.17', 'web.2.17'])
    mkdirSync(join(at, dayOf(Date.now()), `${stream}.ndjson`), { recursive: true })
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  onTestFinished(() => written.mockRestore())
  const statuses = []
  for (const [stream, seq] of [
    ['web.0.17', 1],
    ['web.1.17', 1],
    ['web.0.17', 1],
    ['web.1.17', 2],
    ['web.2.17', 1],
  ] as const) {
    const body = line(stream, seq, Date.now())
    const headers = { authorization: `Bearer ${token}` }
    statuses.push((await fetch(`${url}/streams/${stream}`, { method: 'POST', headers, body })).status)
  }
  expect(statuses).toEqual([503, 200, 503, 200, 503])
  expect(written.mock.calls.filter(([text]) => String(text).includes('ingest.refused'))).toHaveLength(1)
})

test('clients that do not read their entries delay no timeline', async () => {
  const at = await temporaryFolder()
  const { url, port } = await startServer(at)
  const stream = 'web.0.1700000000'
  const payload = { text: 'x'.repeat(60_000) }
  const text = upTo(500).map(n =>
    stamped(line(stream, n, '2026-11-22T12:00:00.000Z', { payload }), '2026-11-22T12:00:00.000Z'),
  )
  writeJournal(at, '2026-11-22', stream, text.join(''))
  for (let client = 0; client < 2; client++) {
    const asked = request({ port, path: '/entries.ndjson?from=2026-11-22&to=2026-11-23&event=test.' }).end()
    onTestFinished(() => void asked.on('error', () => {}).destroy())
    await once(asked, 'response')
  }
  expect((await fetch(`${url}/timeline.json?key=${session}`)).status).toBe(200)
})

test('machines with one INSTANCE whose processes began in the same second lose and mix nothing, over restarts too', async () => {
  const at = await temporaryFolder()
  const server = await startServer(at)
  const folders = [await temporaryFolder(), await temporaryFolder(), await temporaryFolder()]
  for (const round of [0, 1]) {
    const logs = folders.map(folder => startLog(folder, () => server.url))
    logs.forEach((log, n) => void write(log, 100 * n + 50 * round + 1, 100 * n + 50 * round + 50))
    await until(() => countLines(at) >= 150 * (round + 1))
    await Promise.all(logs.map(log => log.close()))
  }
  const streams = Object.entries(readJournals(at))
  expect(streams.map(([name]) => name).every(name => /web\.0\.\d+\.ndjson$/.test(name))).toBe(true)
  for (const [, entries] of streams)
    expect(entries.map(({ id }) => String(id).split('.')[3])).toEqual(upTo(50).map(String))
  expect(kept(at).toSorted((a, b) => a - b)).toEqual(upTo(300))
})

test('of two processes with one name that began in the same second, each ships its own stream, also after a restart without its first entries', async () => {
  const at = await temporaryFolder()
  const server = await startServer(at)
  const folders = [await temporaryFolder(), await temporaryFolder()]
  const [ours = '', theirs = ''] = folders
  const first = startLog(ours, () => server.url)
  const second = startLog(theirs, () => (countLines(at) >= 10 ? server.url : undefined))
  write(first, 1, 10)
  write(second, 101, 110)
  await until(() => countLines(at) >= 20)
  // So much that the first segment is acknowledged and removed.
  for (let n = 0; n < 90; n++) second.info('test.large', { n: 1_000 + n, text: 'x'.repeat(60_000) })
  await until(() => countLines(at) >= 110)
  await until(() => !segments(theirs).some(name => /^\d+\.1\./.test(name)))
  await second.close()
  write(
    startLog(theirs, () => server.url),
    201,
    210,
  )
  write(first, 11, 20)
  await until(() => countLines(at) >= 130)
  const numbers = kept(at).toSorted((a, b) => a - b)
  expect(numbers.filter(n => n < 1_000)).toEqual([
    ...upTo(20),
    ...upTo(10).map(n => 100 + n),
    ...upTo(10).map(n => 200 + n),
  ])
})

test('the journal of a dead process that no other took over is shipped by one that lives, and its epoch stays', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const first = await startServer(at, { port: await freePort() })
  const orphan = join(local, 'web.0-2')
  const dead = startLog(local, () => undefined, '0-2')
  write(dead, 1, 300)
  await dead.close()
  const ship = () => shipOrphans(local, { url: () => first.url, token: () => token }, () => {})
  await ship()
  expect(countLines(at)).toBe(0) // its process may just be restarting
  for (const name of readdirSync(orphan)) utimesSync(join(orphan, name), 0, 0)
  for (let times = 0; times < 2; times++) await ship()
  expect(kept(at)).toEqual(upTo(300))
  expect(segments(local, 'web.0-2')).toHaveLength(1)
  expect(countLines(orphan)).toBe(0)
})

/** The journal of a dead process with 300 entries, old enough to be an orphan. */
async function orphanIn(local: string): Promise<string> {
  const dead = startLog(local, () => undefined, '0-2')
  write(dead, 1, 300)
  await dead.close()
  const orphan = join(local, 'web.0-2')
  for (const name of readdirSync(orphan)) utimesSync(join(orphan, name), 0, 0)
  return orphan
}

test('the journal of a dead process is owned until all of it is shipped, however slow the line is', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const server = await startServer(at)
  const orphan = await orphanIn(local)
  const held = Promise.withResolvers<void>()
  const url = await startForwarding(server.url, () => held.promise)
  const shipped = shipOrphans(local, { url: () => url, token: () => token }, () => {})
  // Longer than a stop waits for its last batch.
  expect(await Promise.race([shipped, sleep(2_500, 'ships on')])).toBe('ships on')
  expect(ownFolder(orphan)).toBe('taken')
  held.resolve()
  await shipped
  expect(kept(at)).toEqual(upTo(300))
})

test('the journal of a dead process passes a proxy that refuses large batches', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const server = await startServer(at)
  await orphanIn(local)
  const url = await startForwarding(server.url, body => (body.length > 40_000 ? 413 : undefined))
  await shipOrphans(local, { url: () => url, token: () => token }, () => {})
  expect(kept(at)).toEqual(upTo(300))
})

test('a journal that cannot be read does not keep those of other dead processes from being shipped', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  // Before the first entry there is no folder, and nothing is wrong.
  await shipOrphans(join(local, 'absent'), { url: () => '', token: () => token }, () => {})
  const server = await startServer(at)
  await orphanIn(local)
  mkdirSync(join(local, 'web.0-1'))
  symlinkSync('17.1.ndjson', join(local, 'web.0-1', '17.1.ndjson'))
  const troubles: unknown[] = []
  await shipOrphans(local, { url: () => server.url, token: () => token }, error => troubles.push(error))
  expect(String(troubles)).toContain('ELOOP')
  expect(kept(at)).toEqual(upTo(300))
})

test('two processes of one service on one folder write two streams', async () => {
  const [at, local] = [await temporaryFolder(), await temporaryFolder()]
  const server = await startServer(at)
  write(
    startLog(local, () => server.url),
    1,
    10,
  )
  write(
    startLog(local, () => server.url),
    11,
    20,
  )
  await until(() => countLines(at) >= 20)
  expect(
    Object.keys(readJournals(at))
      .map(name => name.split('/')[1]?.split('.')[1])
      .sort(),
  ).toEqual(['0', '0-2'])
})
