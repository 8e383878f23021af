import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rules } from '../slo/alerts/rules.ts'
import { readObjectives } from '../slo/objectives/objectives.ts'
import { faster } from '../slo/test/faster.ts'
import { type Person, person } from '../test/client.ts'
import { photo } from '../test/images.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import { describeWithParts, temporaryFolder, until } from '../test/support.ts'
import { freePort } from '../tools/free-port.ts'
import { type Stack, startStack } from '../tools/stack.ts'
import { dashboards } from './all.ts'
import { fill } from './lint.ts'
import type { PanelSpec, Query } from './spec.ts'

/** A minute of the rules is six seconds of ours, their grid of ten seconds one scrape. */
const times = 10
/** What Grafana would fill in, had it looked for an hour: as much as this test has. */
const variables = { rate_interval: '20s', ago: '5s' }
/** Every panel has data by then, on a machine that is busy with other tests. */
const filledMs = 100_000

type Series = { metric: Record<string, string>; value: [seconds: number, value: string] }

/** What must be among the values of a label, beside having any: a panel that shows only half is wrong too. */
const expected: Record<string, { label: string; values: string[] }> = {
  'Which stage takes the time?': {
    label: 'stage',
    values: ['receive', 'wait', 'convert', 'store', 'deliver'],
  },
  'Which stage grew?': { label: 'stage', values: ['receive', 'wait', 'convert', 'store', 'deliver'] },
  'What became of uploads?': { label: 'outcome', values: ['accepted', 'rejected', 'shed'] },
  'How many requests?': { label: 'http_route', values: ['/photos', '/photos/:id/thumbnail'] },
  'What became of conversions?': { label: 'outcome', values: ['ok', 'undecodable', 'timeout'] },
  'How fast is the storage?': { label: 'operation', values: ['put', 'get'] },
  'How much CPU?': { label: 'job', values: ['web', 'converter', 'logs', 'slo'] },
  'How many entries arrive?': { label: 'stream', values: ['web.0', 'converter.0'] },
  'How are shippers answered?': { label: 'http_response_status_code', values: ['200'] },
  'The day': { label: 'tier', values: ['page-fast'] },
}

describeWithParts('each query of the dashboards', ['prometheus', 'alertmanager'], () => {
  let folder: string
  let tintype: Tintype
  let stack: Stack
  let someone: Person
  const ending = new AbortController()
  let driven: Promise<unknown>

  beforeAll(async () => {
    folder = await temporaryFolder(afterAll)
    tintype = await startTintype(folder, { SCRAPE_SECONDS: '1', PROMISE_SECONDS: '6' })
    someone = person(tintype.address)
    stack = await startStack({
      folder: join(folder, 'stack'),
      endpoints: tintype.endpoints,
      rules: faster(rules(readObjectives()), times),
      scrapeSeconds: 1,
      prometheusPort: await freePort(),
      webhook: null,
      alertmanagerPort: await freePort(),
    })
    await until(async () => (await ask('tintype_promises_total')).length > 0, { timeoutMs: 30_000 })
    await outage()
    driven = drive()
  }, 180_000)
  afterAll(async () => {
    ending.abort()
    await driven
    await stack?.stop()
    await tintype?.stop()
  }, 60_000)

  async function ask(query: string): Promise<Series[]> {
    const answer = await fetch(`${stack.prometheus}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query }),
    })
    const { data, error } = (await answer.json()) as { data: { result: Series[] }; error?: string }
    if (error) throw new Error(`${error}: ${query}`)
    return data.result
  }

  /** Photos are taken while nobody converts: their promises break. */
  async function outage(): Promise<void> {
    const image = await photo(64, 64, 1)
    const converter = tintype.process('converter')?.pid as number
    process.kill(converter, 'SIGSTOP')
    try {
      for (let i = 0; i < 4; i++) await someone.upload(image)
      await until(
        async () => Number((await ask('sum(tintype_promises_total{outcome="broken"})'))[0]?.value[1]) > 2,
        {
          timeoutMs: 30_000,
        },
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
      await delay(300, undefined, ending).catch(() => {})
    }
  }

  describe.each(dashboards.map(spec => [spec.title, spec] as const))('%s', (_title, spec) => {
    const panels = spec.rows.flatMap(row => row.panels)

    test('returns what the panel says, in every panel', { timeout: filledMs + 20_000 }, async () => {
      let flaws: string[] = []
      await until(
        async () => {
          flaws = (await Promise.all(panels.map(flawsOf))).flat()
          return flaws.length === 0
        },
        { timeoutMs: filledMs },
      ).catch(() => {})
      expect(flaws).toEqual([])
    })
  })

  async function flawsOf(panel: PanelSpec): Promise<string[]> {
    const answers = await Promise.all(panel.queries.map(query => ask(fill(query.expr, variables))))
    const flaws = answers.flatMap((series, i) => flawsOfSeries(panel, panel.queries[i] as Query, series))
    const { label = '', values = [] } = expected[panel.title] ?? {}
    const there = new Set(answers.flat().map(({ metric }) => metric[label]))
    const missing = values.filter(value => !there.has(value))
    return [...flaws, ...missing.map(value => `${label}="${value}" is missing`)].map(
      flaw => `${panel.title}: ${flaw}`,
    )
  }

  test('their exemplars are photos whose traces are there', async () => {
    const query = dashboards
      .flatMap(({ rows }) => rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries)))
      .filter(({ exemplars }) => exemplars)
    expect(query.length).toBeGreaterThan(0)
    const found = (await Promise.all(query.map(({ expr }) => exemplarsOf(expr)))).flat()
    expect(found.length).toBeGreaterThan(0)
    await until(
      () => {
        const written = tracesIn(join(folder, 'traces'))
        return found.every(traceId => written.has(traceId))
      },
      { timeoutMs: 40_000, what: 'the traces of all exemplars' },
    )
  })

  async function exemplarsOf(expr: string): Promise<string[]> {
    const now = Date.now() / 1000
    const parameters = { query: fill(expr, variables), start: String(now - 600), end: String(now) }
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

/** Whether a query's answer can be drawn as its panel says: data, every label of the legend, plausible values. */
function flawsOfSeries({ min, max, values }: PanelSpec, { legend, expr }: Query, series: Series[]): string[] {
  if (series.length === 0) return [`no data from ${expr}`]
  const labels = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label as string)
  return series.flatMap(({ metric, value: [, text] }) => {
    const value = Number(text)
    const name = JSON.stringify(metric)
    return [
      ...labels.filter(label => !(label in metric)).map(label => `no label ${label} in ${name}`),
      ...(Number.isFinite(value) ? [] : [`${text} of ${name} from ${expr}`]),
      ...(min !== undefined && value < min ? [`${text} of ${name} is below ${min}`] : []),
      // Sums of doubles that are one in the end.
      ...(max !== undefined && value > max + 1e-9 ? [`${text} of ${name} is above ${max}`] : []),
      ...(values && max === undefined && !(text in values) && !expr.startsWith('count')
        ? [`${text} has no word`]
        : []),
    ]
  })
}
