import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { alertmanagerSends } from '../alerts/alertmanager.ts'
import { readDirectory } from '../directory.ts'
import { lintSeen } from '../objectives/lint-metrics.ts'
import { parseObjectives } from '../objectives/objectives.ts'
import { openSlo, ratio } from '../test/kinds.ts'
import { type RunningPrometheus, startPrometheus } from '../test/prometheus.ts'
import { contractData, sourceContract } from './contract.ts'
import type { RatioSli } from './index.ts'
import { openPrometheus } from './prometheus.ts'
import { prometheusApi } from './prometheus-api.ts'
import { formatSelector, unscoped } from './promql.ts'

describeWithParts('Prometheus as a source', ['prometheus', 'promtool'], parts => {
  let folder: string
  let running: RunningPrometheus
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tintype-'))
    running = await startPrometheus(parts, folder, contractData().series)
  })
  afterAll(async () => {
    await running?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  sourceContract(() => openPrometheus(running.url))
})

describe('a Prometheus that is none', () => {
  const sli = readDirectory().objectives[0]?.sli as RatioSli

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    afterAll(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  const answering = (status: number, body: string) =>
    serve((_, response) => response.writeHead(status).end(body))

  test('away says so, with its address and why', async () => {
    const slots = openPrometheus('http://127.0.0.1:9').slots(sli, 0, 10)
    await expect(slots).rejects.toThrow(/Prometheus at http:\/\/127.0.0.1:9 is away: /)
  })

  test.each(['<html>', '{"message":"Not found"}', '{"status":"success"}', 'null', '"up"'])(
    '%s is no answer',
    async body => {
      const slots = openPrometheus(await answering(200, body)).slots(sli, 0, 10)
      await expect(slots).rejects.toThrow(/answered 200 and not as Prometheus does: is that a Prometheus\?/)
    },
  )

  test.each([
    [
      503,
      'text/plain; charset=utf-8',
      'Service Unavailable',
      /answered 503 \(Service Unavailable\) .*: it starts or/,
    ],
    [
      429,
      'text/plain',
      'too many outstanding requests',
      /429 \(too many outstanding requests\) .* too much to do/,
    ],
    [502, 'text/html', '<html>Bad Gateway</html>', /answered 502 and not .* a proxy cannot reach it/],
    [
      400,
      'text/plain',
      'Client sent an HTTP request to an HTTPS server.\n',
      /to an HTTPS server\.\) .*is that a/,
    ],
  ])('an answer %i that is no JSON is shown in its own words', async (status, type, body, why) => {
    const url = await serve((_, response) => response.writeHead(status, { 'content-type': type }).end(body))
    await expect(openPrometheus(url).slots(sli, 0, 10)).rejects.toThrow(why)
  })

  test('a refusal is handed on in its own words', async () => {
    const url = await answering(
      422,
      '{"status":"error","error":"query processing would load too many samples"}',
    )
    await expect(openPrometheus(url).slots(sli, 0, 10)).rejects.toThrow(/would load too many samples/)
  })

  test.each([
    ['"warnings":["store away"]', /only in part: store away/],
    // As VictoriaMetrics says it.
    ['"isPartial":true', /only in part/],
  ])('an answer in part is no answer: %s', async (part, why) => {
    const url = await answering(200, `{"status":"success","data":[],${part}}`)
    await expect(openPrometheus(url).slots(sli, 0, 10)).rejects.toThrow(why)
  })

  const computed = {
    ...sli,
    part: { promql: 'a + b', selector: null },
    total: { promql: 'c + d', selector: null },
  }
  const answeringWith = (result: object[], more = {}) =>
    answering(200, JSON.stringify({ status: 'success', data: { result }, ...more }))

  test('null is an empty list, as servers written in Go answer it', async () => {
    const answer = async (data: unknown) =>
      openPrometheus(await answering(200, JSON.stringify({ status: 'success', data })))
    const none = await answer({ resultType: '', result: null })
    const { hasAlertmanager } = prometheusApi(
      await answering(200, '{"status":"success","data":{"activeAlertmanagers":null}}'),
    )
    expect([await hasAlertmanager(), Date.now() - (await none.now()) < 60_000]).toEqual([false, true])
    expect(await none.slots(computed, 0, 1)).toMatchObject([{ unknown: true }])
    expect(await none.series([{ metric: 'up', matchers: [] }], 0, 60_000)).toEqual([])
    expect(await (await answer(null)).labelValues(sli, 'job', 0, 1)).toEqual([])
  })

  test('a connection that is closed as it is used again is no Prometheus that is away', async () => {
    const served = new Set<object>()
    const url = await serve(({ socket }, response) => {
      if (served.has(socket)) return void socket.destroy()
      served.add(socket)
      response.end('{"status":"success","data":{"result":[]}}')
    })
    const prometheus = openPrometheus(url)
    for (const _ of ['opened', 'used again'])
      expect(await prometheus.slots(computed, 0, 1)).toMatchObject([{ unknown: true }])
  })

  test('where only GET is allowed, it is asked by GET', async () => {
    const url = await serve(({ method, url }, response) =>
      response
        .writeHead(method === 'GET' ? 200 : 405)
        .end(
          method === 'GET' && url?.startsWith('/api/v1/query?query=')
            ? '{"status":"success","data":{"result":[]}}'
            : 'Method Not Allowed',
        ),
    )
    expect(await openPrometheus(url).slots(computed, 0, 1)).toMatchObject([{ unknown: true }])
  })

  test.each([
    ['whose samples are fresh', 60, 90, 60],
    ['whose clock and samples are late', 300, 330, 300],
    ['whose samples come four minutes late', 0, 240, 240],
    ['that scrapes nothing', 60, Infinity, 60],
    ['whose clock is of another day', 86_400, 86_430, 0],
  ])('the time of a source %s is known', async (_, clockAgo, newestAgo, expectedAgo) => {
    const now = Math.floor(Date.now() / 1000)
    const newest = Number.isFinite(newestAgo) ? now - newestAgo : 0
    const url = await answeringWith([{ metric: {}, value: [now - clockAgo, `${newest}`] }])
    const time = await openPrometheus(url, { ...unscoped, scrapeSeconds: 15 }).now()
    expect(Math.abs(time / 1000 - (now - expectedAgo))).toBeLessThan(5)
  })

  test('a source that refuses to say its time is read all the same', async () => {
    const url = await answering(422, '{"status":"error","error":"label namespace is missing"}')
    const asked = Date.now()
    const now = await openPrometheus(url).now()
    expect(now).toBeGreaterThanOrEqual(asked)
    expect(now).toBeLessThanOrEqual(Date.now())
  })

  test('an answer of one value for a range of samples is refused', async () => {
    const url = await answeringWith([{ metric: {}, value: [0, '1'] }])
    await expect(openPrometheus(url).slots(computed, 0, 1)).rejects.toThrow(/does not read ranges/)
  })

  test('a few minutes of events are read with the ten minutes before, not with a day', async () => {
    const queries: string[] = []
    const url = await serve(async (request, response) => {
      queries.push(new URLSearchParams(await text(request)).get('query') ?? '')
      const data = request.url?.startsWith('/api/v1/series') ? [{}] : { result: [] }
      response.end(JSON.stringify({ status: 'success', data }))
    })
    const source = openPrometheus(url)
    await source.slots({ ...sli, maxGapSeconds: 86_400 }, 10_000, 10_010)
    const ranges = queries
      .filter(each => each.endsWith('s]'))
      .map(each => Number(/\[(\d+)s\]$/.exec(each)?.[1]))
    // The good events are found in the series of all events, which are read once.
    expect(ranges).toHaveLength(1)
    expect(Math.max(...ranges)).toBeLessThan(30 * 60)
  })

  /** Samples by the outcome of a process that is scraped each 15 s; `at` is the n-th scrape. */
  const scraping = (pointsOf: (outcome: string, reads: number) => [at: number, value: number][]) => {
    let reads = 0
    return serve(async (request, response) => {
      const query = new URLSearchParams(await text(request)).get('query') ?? ''
      const isUp = query.startsWith('up')
      if (/s\]$/.test(query) && !isUp) reads++
      const outcomes = ['kept', 'broken', 'ok'].filter(
        each => !query.includes('outcome="kept"') || each === 'kept',
      )
      const up = Array.from({ length: 60 }, (_, at): [number, number] => [at, 1])
      const result = (isUp ? ['up'] : outcomes).flatMap(outcome => {
        const values = (isUp ? up : pointsOf(outcome, reads)).map(([at, value]) => [at * 15, `${value}`])
        return values.length === 0 ? [] : { metric: { job: 'web', ...(!isUp && { outcome }) }, values }
      })
      const data = request.url?.startsWith('/api/v1/series') ? [{}] : { result }
      response.end(JSON.stringify({ status: 'success', data }))
    })
  }
  const part = { metric: 'photos', matchers: [{ label: 'outcome', operator: '=', value: 'kept' }] } as const
  const photos: RatioSli = {
    kind: 'ratio',
    counts: 'good',
    part: { promql: formatSelector(part), selector: part },
    total: { promql: 'photos', selector: { metric: 'photos', matchers: [] } },
    maxGapSeconds: 300,
  }

  test('a scrape that is stored while minutes are read makes no good event a bad one', async () => {
    const each15s = (length: number) => Array.from({ length }, (_, at): [number, number] => [at, at * 10])
    const url = await scraping((outcome, reads) => (outcome === 'kept' ? each15s(reads > 1 ? 49 : 48) : []))
    const [last] = await openPrometheus(url).slots(photos, 11, 12)
    expect(last).toMatchObject({ good: 30, total: 30 })
  })

  test('a counter that begins under another outcome, because the metric was relabelled, is no new count', async () => {
    const points = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i): [number, number] => [from + i, 1_000_000])
    const url = await scraping(of => (of === 'ok' ? points(0, 46) : of === 'kept' ? points(46, 49) : []))
    const [last] = await openPrometheus(url).slots(photos, 11, 12)
    expect(last).toMatchObject({ good: 0, total: 0 })
  })

  test('parameters of the address are sent with each read', async () => {
    const seen: string[] = []
    const url = await serve(async (request, response) => {
      seen.push(`${request.url} ${await text(request)}`)
      const data = request.url?.startsWith('/vm/api/v1/series') ? [] : { result: [] }
      response.end(JSON.stringify({ status: 'success', data }))
    })
    await openPrometheus(`${url}/vm/?nocache=1`).slots(sli, 0, 1)
    expect(seen.length).toBeGreaterThan(1)
    for (const each of seen) expect(each).toMatch(/^\/vm\/api\/v1\/.*nocache=1/)
  })

  test('a time before the samples of Thanos has none, and a present without its stores is no answer', async () => {
    const url = await answeringWith([], { warnings: ['No StoreAPIs matched for this query'] })
    const read = (at: number) => prometheusApi(url).query('up[1m]', at)
    expect(await read(Date.now() / 1000 - 86_400)).toEqual([])
    await expect(read(Date.now() / 1000)).rejects.toThrow('only in part: No StoreAPIs')
  })

  test('a hint at the query is no answer in part, also where version 2.53 calls it a warning', async () => {
    const url = await answeringWith([], { warnings: ['PromQL info: metric might not be a counter: "a"'] })
    expect(await openPrometheus(url).slots(computed, 0, 1)).toMatchObject([{ unknown: true }])
  })

  test('whether anything was counted in 90 days is asked in pieces, because Mimir refuses more than 32 days', async () => {
    const queries: URLSearchParams[] = []
    const url = await serve(async (request, response) => {
      const query = new URLSearchParams(await text(request))
      queries.push(query)
      const days = Number(/\[(\d+)d\]/.exec(query.get('query') ?? '')?.[1])
      if (days > 32) return void response.writeHead(422).end('{"status":"error","error":"exceeds the limit"}')
      const result = queries.length === 2 ? [{ metric: {}, value: [0, '1'] }] : []
      response.end(JSON.stringify({ status: 'success', data: { result } }))
    })
    const source = openPrometheus(url)
    expect(await source.seenBefore(sli, 30_000_000)).toBe(true)
    expect(queries.map(each => Number(each.get('time')))).toEqual([
      1_800_000_000,
      1_800_000_000 - 30 * 86_400,
    ])
  })

  /** A Prometheus that answers some paths of its API, and no others. */
  const answeringPaths = (answers: Readonly<Record<string, unknown>>) =>
    serve(({ url = '' }, response) => {
      const data = answers[url.replace(/^\/api\/v1\/|\?.*/g, '')]
      if (data) response.end(JSON.stringify({ status: 'success', data }))
      else response.writeHead(404).end('404 page not found')
    })

  test('the lint knows a gauge by its metadata, and a window that is longer than samples are kept', async () => {
    const answers = {
      query: { result: [] },
      'label/__name__/values': ['depth'],
      'status/runtimeinfo': { storageRetention: '2w or 10GiB' },
      metadata: { depth: [{ type: 'gauge' }] },
    }
    const indicator = ratio({ bad: 'depth{full="1"}' }, 'sum(depth)')
    const parsed = parseObjectives('x.yaml', openSlo('deep', indicator, { target: 0.9, window: '30d' }))
    const findings = await lintSeen(parsed, prometheusApi(await answeringPaths(answers)), 1_000_000)
    expect(findings.map(({ rule, message }) => `${rule}: ${message}`)).toEqual([
      'window-not-kept: the window is 30d, and Prometheus keeps samples for 14 days',
      ...Array(2).fill('no-counter: depth is a gauge, which has no increase'),
    ])
    const metadata = { depth: [{ type: 'gauge' }, { type: 'counter' }] }
    const quantiles = { ...answers, metadata: { took: [{ type: 'summary' }] } }
    const fast = openSlo('fast', ratio({ bad: 'took{quantile="0.9"}' }, 'took_count'), { target: 0.9 })
    const ofSummary = prometheusApi(await answeringPaths(quantiles))
    const [summary, ...others] = await lintSeen(parseObjectives('x.yaml', fast), ofSummary, 1_000_000)
    expect(summary?.message).toBe('took is a summary, which has no increase')
    expect(others).toEqual([])
    const shared = prometheusApi(await answeringPaths({ metadata }))
    expect(await shared.kindOf('depth'), 'another service has a gauge of that name').toBeUndefined()
  })

  test('the lint also reads a Prometheus without metadata and without its retention time', async () => {
    const api = prometheusApi(await answeringPaths({ query: { result: [] }, 'label/__name__/values': [] }))
    const written = openSlo('odd', ratio({ bad: 'x{bad="1"}' }, 'sum(x)'), { target: 0.9 })
    const findings = await lintSeen(parseObjectives('x.yaml', written), api, 1_000_000)
    expect(findings.map(({ rule, severity }) => `${severity}: ${rule}`)).toEqual([
      'warning: not-seen',
      'error: not-seen',
    ])
  })

  test('a Prometheus with too much to do ends the lint, and no query is called wrong', async () => {
    const api = prometheusApi(await answering(503, 'busy'))
    const written = openSlo('x', ratio({ bad: 'x{bad="1"}' }, 'sum(x)'), { target: 0.9 })
    const read = lintSeen(parseObjectives('x.yaml', written), api, 1_000_000)
    await expect(read).rejects.toThrow('answered 503')
  })

  test('a counter of too many samples for 30 days is looked at once an hour for when it began', async () => {
    const url = await serve(async (request, response) => {
      const isEach = new URLSearchParams(await text(request)).get('query')?.includes('[30d]')
      const data = { result: [{ metric: {}, value: [0, '1'] }] }
      response.end(
        JSON.stringify(isEach ? { status: 'error', error: 'too many samples' } : { status: 'success', data }),
      )
    })
    expect(await openPrometheus(url).seenBefore(sli, 1_000)).toBe(true)
  })

  test('a Prometheus that refuses some of the questions does not end the lint', async () => {
    const url = await serve(async (request, response) => {
      const asked = decodeURIComponent(`${request.url} ${await text(request)}`)
      const isRefused = /resets|match.*bad/.test(asked)
      const data = /label/.test(asked) ? ['x'] : { result: [] }
      response.end(
        JSON.stringify(
          isRefused ? { status: 'error', error: 'too many samples' } : { status: 'success', data },
        ),
      )
    })
    const written = openSlo('x', ratio({ bad: 'x{bad="1"}' }, 'sum(x)'), { target: 0.9 })
    expect(await lintSeen(parseObjectives('x.yaml', written), prometheusApi(url), 1_000_000)).toEqual([])
  })

  test('a native histogram is no counter, and what counts it is named', async () => {
    const url = await answeringWith([{ metric: {}, histograms: [] }])
    await expect(openPrometheus(url).slots(computed, 0, 1)).rejects.toThrow(/histogram_count\(\)/)
  })

  test('one that asks for a token says which variable has it, and gets it with every read', async () => {
    const seen: (string | undefined)[] = []
    const url = await serve(({ headers, url }, response) => {
      const isKnown = headers.authorization === 'Bearer abc' && headers['x-scope-orgid'] === 'shop'
      seen.push(url)
      const data = url?.endsWith('/query')
        ? { result: [] }
        : url?.includes('alertmanagers')
          ? { activeAlertmanagers: [] }
          : []
      if (isKnown) response.end(JSON.stringify({ status: 'success', data }))
      else response.writeHead(401).end('no org id')
    })
    await expect(openPrometheus(url).slots(sli, 0, 1)).rejects.toThrow(/answered 401 .*PROMETHEUS_HEADERS/)
    const headers = { Authorization: 'Bearer abc', 'X-Scope-OrgID': 'shop' }
    const source = openPrometheus(url, { ...unscoped, headers })
    expect(await source.slots(sli, 0, 1)).toMatchObject([{ unknown: true }])
    expect(await source.labelValues(sli, 'job', 0, 1)).toEqual([])
    expect(await source.series([{ metric: 'up', matchers: [] }], 0, 60_000)).toEqual([])
    // A cluster renews the token of a pod in its file.
    const file = `${await temporaryFolder()}/token`
    const ofFile = openPrometheus(url, {
      ...unscoped,
      headers: { ...headers, Authorization: `Bearer @${file}` },
    })
    for (const token of ['old', 'abc\n']) {
      writeFileSync(file, token)
      const read = ofFile.series([{ metric: 'up', matchers: [] }], 0, 60_000)
      if (token === 'old') await expect(read).rejects.toThrow('answered 401')
      else expect(await read).toEqual([])
    }
    const sends = await alertmanagerSends(url, { ...unscoped, headers })
    expect(sends({ name: 'availability', service: 'shop' })).toBe(false)
    expect(seen.length).toBeGreaterThan(5)
  })
})
