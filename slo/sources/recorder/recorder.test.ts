import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { limits } from '@tintype/lib/limits.ts'
import { lastMetricsFolder, writeLastMetrics } from '@tintype/lib/telemetry/last-metrics.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, onTestFinished, test } from 'vitest'
import { sampleIn, temporaryFolder, until } from '../../../test/support.ts'
import { scrape, startRecorder, type Target, untilNextScrape } from './recorder.ts'
import { createStore } from './store.ts'

const never = new AbortController().signal

type Answer = { status?: number; type?: string; location?: string; body: string }
async function exposing(answer: (path?: string, token?: string) => Answer) {
  const server = createServer(({ url, headers: { authorization } }, response) => {
    const {
      status = 200,
      type = 'application/openmetrics-text; version=1.0.0',
      location,
      body,
    } = answer(url, authorization)
    response.writeHead(status, { 'Content-Type': type, ...(location && { location }) }).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  onTestFinished(close)
  return {
    job: 'web',
    instance: '0',
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`),
    close,
  }
}

const kept = (value: number) => `tintype_promises_total{outcome="kept"} ${value}\n# EOF\n`

test.each([
  ['an error', { status: 500, body: 'no' }, 'answer 500'],
  ['half an answer', { body: 'a 1\n' }, 'was cut'],
  ['something else', { type: 'text/html', body: '<html>' }, 'cannot be read'],
])('%s is no samples and a word', async (_, answer, word) => {
  const { samples, trouble } = await scrape(await exposing(() => answer), 30_000, never)
  expect(samples).toBeNull()
  expect(trouble).toContain(word)
})

test('an answer whose type is the whole Accept header is text: it needs no end mark', async () => {
  const type = 'application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4; q=0.5'
  const { samples } = await scrape(await exposing(() => ({ type, body: 'a 1\n' })), 30_000, never)
  expect(samples).toEqual([{ name: 'a', labels: '', value: 1 }])
})

test('a target that wants a token gets it', async () => {
  const target = await exposing((_, token) =>
    token === 'Bearer abc' ? { body: kept(1) } : { status: 401, body: '' },
  )
  const headers = { Authorization: 'Bearer abc' }
  expect((await scrape({ ...target, headers }, 30_000, never)).samples).toHaveLength(1)
  expect((await scrape(target, 30_000, never)).trouble).toBe('answer 401')
})

test('a target that is away is no samples and a word', async () => {
  const target = await exposing(() => ({ body: kept(1) }))
  target.close()
  expect((await scrape(target, 30_000, never)).trouble).toContain('ECONNREFUSED')
})

test.each([
  ['/metrics/', true],
  ['http://127.0.0.1:PORT/metrics/', true],
  ['http://elsewhere.test/metrics/', false],
  ['http://[bad', false],
])('a redirect to %s is followed on the same host, as Prometheus does: %s', async (to, isFollowed) => {
  const target = await exposing(path => {
    if (path === '/metrics/') return { body: kept(1) }
    return { status: 307, location: to.replace('PORT', target.url.port), body: '' }
  })
  const { samples, trouble } = await scrape(target, 30_000, never)
  expect(samples?.length ?? trouble).toBe(isFollowed ? 1 : `answer 307 to ${to}`)
})

const series = (metric: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${metric}{path="/${n}"} 1\n`).join('')

test('a metric with too many series is left out and named, the rest is kept', async () => {
  const many = limits.metricSeries.value + 1
  const target = await exposing(() => ({ body: series('paths_total', many) + kept(1) }))
  const { samples, trouble, limit } = await scrape(target, 30_000, never)
  expect(samples).toHaveLength(1)
  expect(trouble).toBe('paths_total has 2001 series, more than 2000: not recorded')
  expect(limit).toBe('metricSeries')
})

test('a process with too many series, or with too large an answer, is not recorded', async () => {
  const metrics = 1 + limits.processSeries.value / limits.metricSeries.value
  const many = Array.from({ length: metrics }, (_, n) => series(`m${n}`, limits.metricSeries.value)).join('')
  const wide = await exposing(() => ({ body: many + kept(1) }))
  expect(await scrape(wide, 30_000, never)).toMatchObject({ samples: null, limit: 'processSeries' })
  const line = `# ${'x'.repeat(1024 * 1024)}\n`
  const long = await exposing(() => ({ body: line.repeat(limits.scrapeBytes.value) + kept(1) }))
  expect(await scrape(long, 30_000, never)).toMatchObject({ samples: null, limit: 'scrapeBytes' })
})

test('a limit that a scrape reaches is counted', async () => {
  const body = series('paths_total', limits.metricSeries.value + 1) + kept(1)
  const { recorder, metrics } = await recording(await exposing(() => ({ body })), 50)
  await until(async () => (await sampleIn(metrics, 'tintype_limit_reached_total{limit="metricSeries"}')) > 0)
  await recorder.stop()
})

async function recording(target: Target, intervalMs: number, others: readonly Target[] = []) {
  const folder = await temporaryFolder()
  const store = createStore(`${folder}/recorder.sqlite`, [])
  const said: string[] = []
  const log = {
    ...createLog({ service: 'slo', instance: '0', level: 'error' }),
    warn: (event: string) => void said.push(event),
  }
  const metrics = createMetrics('slo', '0')
  const recorder = startRecorder({
    targets: () => [target, ...others],
    dataDir: folder,
    intervalMs,
    keepDays: 35,
    store,
    log,
  })
  const points = async (name: string) => {
    const series = await store.series([{ metric: name, matchers: [] }], 0, Date.now())
    return series.find(({ labels }) => (labels.outcome ?? 'kept') === 'kept')?.points ?? []
  }
  return { folder, store, said, metrics, recorder, points }
}

const neverMs = 300_000

test('records at each interval, and says once that a target is away', async () => {
  let count = 0
  const target = await exposing(() => ({ body: kept(count++) }))
  const { said, recorder, points } = await recording(target, 300)
  await until(async () => (await points('tintype_promises_total')).length >= 3)
  said.length = 0 // on a busy machine a scrape may have come too late
  target.close()
  await until(async () => (await points('up')).filter(({ value }) => value === 0).length >= 3)
  await recorder.stop()
  expect(said).toEqual(['scrape.failed'])
})

test('a target that hangs does not cost the others every second scrape', async () => {
  const hanging = createServer(() => {}).listen(0, '127.0.0.1')
  await once(hanging, 'listening')
  onTestFinished(() => void hanging.close())
  onTestFinished(() => hanging.closeAllConnections())
  const url = new URL(`http://127.0.0.1:${(hanging.address() as AddressInfo).port}/metrics`)
  const target = await exposing(() => ({ body: kept(1) }))
  const { recorder, points } = await recording(target, 1_600, [{ job: 'hung', instance: '0', url }])
  await until(async () => (await points('tintype_promises_total')).length >= 4)
  await recorder.stop()
  const times = (await points('tintype_promises_total')).map(({ at }) => at)
  expect(Math.min(...times.slice(1, 4).map((at, i) => at - (times[i] as number)))).toBeLessThan(2_400)
})

test('a stop records what was counted since the last scrape, of targets that answer and of those that stopped before', async () => {
  const target = await exposing(() => ({ body: kept(5) }))
  const alive = await recording(target, neverMs)
  await alive.recorder.stop()
  expect(await alive.points('tintype_promises_total')).toMatchObject([{ value: 5 }])

  target.close()
  const stopped = await recording(target, neverMs)
  const web = createMetrics('web', '1')
  web.increment('tintype_promises_total', { outcome: 'kept' }, 7)
  await writeLastMetrics(web, 'web', { DATA_DIR: stopped.folder, INSTANCE: '0' })
  await stopped.recorder.stop()
  expect(await stopped.points('tintype_promises_total')).toMatchObject([{ value: 7 }])
  expect(await stopped.points('up')).toMatchObject([{ value: 1 }])
  expect(readdirSync(lastMetricsFolder(stopped.folder))).toEqual([])

  const misled = await recording(target, neverMs)
  writeFileSync(lastMetricsFolder(misled.folder), 'no folder: it ended the recorder')
  await misled.recorder.stop()
})

test('what is too old is removed with the scrapes, and counted', async () => {
  const target = await exposing(() => ({ body: kept(1) }))
  const { recorder, store, metrics } = await recording(target, 50)
  const at = Date.now() - (limits.sampleAge.value + 1) * 86_400_000
  store.append({ job: 'web', instance: 'old', at, samples: [] })
  await until(async () => (await sampleIn(metrics, 'tintype_limit_reached_total{limit="sampleAge"}')) === 1)
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="metricsAge"}')).toBe(0)
  await recorder.stop()
})

test('scrapes stand on the clock, the last of a minute just before its end', () => {
  const noon = Date.UTC(2026, 10, 22, 12)
  expect(noon + 100 + untilNextScrape(noon + 100, 15_000)).toBe(noon + 14_500)
  expect(noon + 59_500 + untilNextScrape(noon + 59_500, 15_000)).toBe(noon + 74_500)
  expect(untilNextScrape(noon, 1_000)).toBe(1_000)
})
