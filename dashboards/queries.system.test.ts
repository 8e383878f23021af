import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rules } from '../slo/alerts/rules.ts'
import { readDirectory } from '../slo/directory.ts'
import { faster } from '../slo/test/faster.ts'
import { type Person, person } from '../test/client.ts'
import { photo } from '../test/images.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import { describeWithParts, temporaryFolder, until } from '../test/support.ts'
import { freePort } from '../tools/free-port.ts'
import { type Stack, startStack } from '../tools/stack.ts'
import { allPanels, dashboardsOf } from './all.ts'
import { ask as askPrometheus, emptyVariables, filled, flawsOf } from './test/flaws.ts'

/** A minute of the rules is six seconds of ours, their grid of ten seconds one scrape. */
const times = 10
/** Every panel has data by then, on a machine that is busy with other tests. */
const filledMs = 100_000

/** What must be among the values of a label, beside having any: a panel that shows only half is wrong too. */
const expected: Record<string, { label: string; values: string[] }> = {
  'Uploads by outcome': { label: 'outcome', values: ['accepted', 'rejected', 'shed'] },
  'Request rate by route': { label: 'http_route', values: ['/photos', '/photos/:id/thumbnail'] },
  'Probe duration by phase': { label: 'phase', values: ['dns', 'connect', 'processing', 'thumbnail'] },
  'Conversions by outcome': { label: 'outcome', values: ['ok', 'undecodable', 'timeout'] },
  'Storage latency p95 by operation': { label: 'operation', values: ['put', 'get'] },
  'Queue latency p95 by operation': { label: 'operation', values: ['enqueue', 'claim', 'complete'] },
  'Pressure stall (PSI) by resource': { label: 'resource', values: ['cpu', 'memory', 'io'] },
  'CPU usage by process': { label: 'job', values: ['web', 'converter', 'logs', 'slo'] },
  'CPU run queue wait by process': { label: 'job', values: ['web', 'converter'] },
  'Log entries by stream': { label: 'stream', values: ['web.0', 'converter.0'] },
  'Log shipping answers by status': { label: 'http_response_status_code', values: ['200'] },
  'Status and alerts, minute by minute': { label: 'tier', values: ['page-fast'] },
}
const directory = readDirectory()
const dashboards = dashboardsOf(directory)

describeWithParts('each query of the dashboards', ['prometheus', 'alertmanager'], () => {
  let folder: string
  let tintype: Tintype
  let stack: Stack
  let someone: Person
  const ending = new AbortController()
  let driven: Promise<unknown>

  beforeAll(async () => {
    folder = await temporaryFolder(afterAll)
    // A promise short enough to be broken soon, and long enough for four photos to be accepted by a busy machine.
    tintype = await startTintype(folder, { SCRAPE_SECONDS: '1', PROMISE_SECONDS: '10' })
    someone = person(tintype.address)
    stack = await startStack({
      folder: join(folder, 'stack'),
      endpoints: tintype.endpoints,
      rules: faster(rules(directory.objectives, directory.service), times),
      scrapeSeconds: 1,
      keepDays: 1,
      prometheusPort: await freePort(),
      webhook: null,
      alertmanagerPort: await freePort(),
    })
    await until(async () => (await ask('tintype_promises_total')).length > 0)
    await outage()
    driven = drive()
  })
  afterAll(async () => {
    ending.abort()
    await driven
    await stack?.stop()
    await tintype?.stop()
  })

  const ask = (query: string) => askPrometheus(stack.prometheus, query)

  /** Photos are uploaded while the converter is stopped: their promises break. */
  async function outage(): Promise<void> {
    const image = await photo(64, 64, 1)
    const converter = tintype.process('converter')?.pid as number
    process.kill(converter, 'SIGSTOP')
    try {
      // At once: a converter that is stopped counts as live for 10 s, and then photos are refused.
      const answers = await Promise.all([1, 2, 3, 4].map(() => someone.upload(image)))
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202])
      await until(
        async () => Number((await ask('sum(tintype_promises_total{outcome="broken"})'))[0]?.value[1]) > 2,
        { what: 'three broken promises' },
      )
    } finally {
      process.kill(converter, 'SIGCONT')
    }
  }

  /** Good photos and bad ones, and what a browser does with them, until the test ends. */
  async function drive(): Promise<void> {
    const [good, undecodable] = [await photo(640, 480, 2), (await photo(640, 480, 3)).subarray(0, 900)]
    for (let turn = 0; !ending.signal.aborted; turn++) {
      const answer = await someone.upload(good, { Prefer: 'wait=20' })
      const { id, links } = (await answer.json()) as { id: string; links?: Record<string, string> }
      if (links?.thumbnail) await (await someone.request(links.thumbnail)).arrayBuffer()
      await (await someone.request('/photos')).arrayBuffer()
      const body = JSON.stringify({ photo: id, seconds: 1.5 })
      await someone.request('/experience', { method: 'POST', body })
      await someone.upload(turn % 2 === 0 ? undecodable : Buffer.from('no photo'))
      await sleep(2_000, undefined, ending).catch(() => {})
    }
  }

  describe.each(dashboards.map(spec => [spec.title, spec] as const))('%s', (_title, spec) => {
    const panels = allPanels(spec)

    test('returns what the panel says, in every panel', { timeout: filledMs + 20_000 }, async () => {
      // Each once: on a busy machine there may be no moment at which all have the samples of the last seconds.
      let left = panels
      let flaws: string[] = []
      await until(
        async () => {
          const found = await Promise.all(
            left.map(panel => flawsOf(stack.prometheus, spec, panel, expected[panel.title])),
          )
          left = left.filter((_, i) => (found[i] ?? []).length > 0)
          flaws = found.flat()
          return left.length === 0
        },
        { timeoutMs: filledMs },
      ).catch(() => {})
      expect([...flaws, ...(await emptyVariables(stack.prometheus, spec))]).toEqual([])
    })
  })

  test('their exemplars are photos whose traces are there', async () => {
    const queries = dashboards.flatMap(spec =>
      allPanels(spec)
        .flatMap(panel => panel.queries)
        .filter(({ exemplars }) => exemplars)
        .map(query => filled(spec, query)),
    )
    expect(queries.length).toBeGreaterThan(0)
    const found = (await Promise.all(queries.map(exemplarsOf))).flat()
    expect(found.length).toBeGreaterThan(0)
    await until(
      () => {
        const written = tracesIn(join(folder, 'traces'))
        return found.every(traceId => written.has(traceId))
      },
      { what: 'the traces of all exemplars' },
    )
  })

  async function exemplarsOf(query: string): Promise<string[]> {
    const now = Date.now() / 1000
    const parameters = { query, start: String(now - 600), end: String(now) }
    const answer = await fetch(
      `${stack.prometheus}/api/v1/query_exemplars?${new URLSearchParams(parameters)}`,
    )
    const { data } = (await answer.json()) as { data: { exemplars: { labels: { trace_id: string } }[] }[] }
    return data.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id))
  }
})

const tracesIn = (folder: string): Set<string> =>
  new Set(
    readdirSync(folder)
      .flatMap(file => [...readFileSync(join(folder, file), 'utf8').matchAll(/"traceId":"(\w+)"/g)])
      .map(([, traceId]) => traceId as string),
  )
