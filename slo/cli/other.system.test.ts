import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithParts, runScript, temporaryFolder } from '../../test/support.ts'
import { lintSeen } from '../objectives/lint-metrics.ts'
import { parseFiles } from '../objectives/objectives.ts'
import { prometheusApi } from '../sources/prometheus-api.ts'
import { unscoped } from '../sources/promql.ts'
import { sloHere } from '../test/here.ts'
import { metric, openSlo, ratio } from '../test/kinds.ts'
import { type RunningPrometheus, startPrometheus } from '../test/prometheus.ts'

/** In Berlin a day begins at 23:00 UTC. */
const midnight = Date.UTC(2026, 0, 9, 23) / 60_000
const begin = midnight - 120
const minutes = 240

/** Requests by route and code, 60 a minute each; those of /buy fail from one hour after midnight for ten minutes. */
const requests = (route: string, code: string, namespace = 'shop') => {
  let count = 0
  return {
    metric: 'http_requests_total',
    labels: { job: 'api', namespace, route, code },
    samples: Array.from({ length: minutes * 4 }, (_, i) => {
      const minute = Math.floor(i / 4)
      const fails = route === '/buy' && minute >= 180 && minute < 190
      count += (code === '500') === fails ? 15 : 0
      return { timeMs: begin * 60_000 + i * 15_000 + 7_000, value: count }
    }),
  }
}

/** Two processes behind a load balancer, which are scraped in turn. */
const inTurn = {
  ...requests('/turn', '200'),
  metric: 'turns_total',
  samples: requests('/turn', '200').samples.map((each, i) => ({
    ...each,
    value: i % 2 === 0 ? each.value : 0,
  })),
}

/** Scraped each two minutes. */
const checks = { ...requests('/check', '200'), metric: 'checks_total' }

const all = 'http_requests_total'
const failed = 'http_requests_total{code="500"}'
const berlin = { startTime: '2026-01-01 00:00:00', timeZone: 'Europe/Berlin' }
const documents = [
  openSlo('availability', ratio({ bad: failed }, all), {
    service: 'api',
    method: 'Timeslices',
    timeSliceTarget: 0.6,
    target: 0.95,
  }),
  openSlo('availability', ratio({ bad: `sum(${failed})` }, `sum by (route) (${all})`), {
    service: 'billing',
    target: 0.9,
    calendar: berlin,
  }),
  openSlo('routes', ratio({ bad: failed }, all), { service: 'api', target: 0.99, groupBy: 'route' }),
  openSlo(
    'quiet',
    { thresholdMetric: metric(`sum(rate(${failed}[1m]))`) },
    {
      service: 'api',
      method: 'Timeslices',
      op: 'lt',
      value: 0.1,
      target: 0.9,
      window: '1w',
      calendar: berlin,
    },
  ),
]

describeWithParts('slo for another service', ['prometheus', 'promtool'], parts => {
  let folder: string
  let running: RunningPrometheus
  beforeAll(async () => {
    folder = await temporaryFolder(afterAll)
    const series = [
      ...['/', '/buy'].flatMap(route => ['200', '500'].map(code => requests(route, code))),
      requests('/', '500', 'other'),
      requests('/buy', '500', 'other'),
      inTurn,
      { ...checks, samples: checks.samples.filter((_, i) => i % 8 === 0) },
    ]
    running = await startPrometheus(parts, folder, series)
    const service = `prometheus: \${PROM:-${running.url}}\nselectors: { namespace: shop }`
    writeConfig('config', service, documents)
  })
  afterAll(() => running?.stop())

  /** Writes the directory of a service `shop` with more keys and these documents. Returns its path. */
  function writeConfig(name: string, service: string, written: readonly string[]): string {
    const config = join(folder, name)
    mkdirSync(join(config, 'objectives'), { recursive: true })
    writeFileSync(join(config, 'service.yaml'), `service: shop\n${service}\n`)
    writeFileSync(join(config, 'objectives', 'all.yaml'), written.join('\n---\n'))
    return config
  }

  const slo = (...args: string[]) => {
    const own = args.includes('--config') ? [] : ['--config', join(folder, 'config')]
    return sloHere({ DATA_DIR: folder }, ...args, ...own)
  }
  const at = ['--at', new Date((midnight + 90) * 60_000).toISOString()]

  test('report: each objective by its name, with its service when two share it, and each group', async () => {
    const { out, code } = await slo('report', '--json', ...at)
    const report = JSON.parse(out)
    expect(Object.keys(report)).toEqual([
      'window',
      'api/availability',
      'billing/availability',
      'routes{route="/"}',
      'routes{route="/buy"}',
      'quiet',
    ])
    // Half of the requests fail for ten minutes; a first minute counts nothing but its growth.
    expect(report['api/availability']).toMatchObject({ online: 200, offline: 10, budgetMinutes: 72 })
    expect(report['billing/availability']).toMatchObject({
      window: { from: '2026-01-09T23:00:00Z', minutes: 90 },
      broken: 600,
      kept: 10_200,
    })
    expect(report['routes{route="/"}']).toMatchObject({ broken: 0, ratio: 1 })
    expect(report['routes{route="/buy"}']).toMatchObject({ kept: 11_985, broken: 600, budgetLeft: -3.768 })
    // A week of this calendar begins on Thursday, and a rate of a minute ends a minute late.
    expect(report.quiet).toMatchObject({ offline: 11, budgetMinutes: 1008 })
    // The budget of one route is gone.
    expect(code).toBe(1)
  })

  test('report: minutes to come are no outage', async () => {
    const { err } = await slo('report', '--since', 'tomorrow 00:00', '--at', 'tomorrow 12:00')
    expect(err).toContain('--since must be before --at')
  })

  test('report: an objective that cannot be read is named with the reason, and the others are reported', async () => {
    const refused = openSlo('refused', ratio({ bad: failed }, `${all} * on (job) ${all}`), { target: 0.9 })
    const config = writeConfig('partly', `prometheus: ${running.url}`, [...documents.slice(0, 1), refused])
    const { out, code } = await slo('report', '--json', '--config', config, ...at)
    expect(JSON.parse(out)).toMatchObject({
      availability: { online: 200, offline: 10 },
      unread: { refused: expect.stringContaining('many-to-many') },
    })
    expect(code).toBe(2)
    expect((await slo('report', '--config', config, ...at)).out).toMatch(
      /\? refused: not read: .*many-to-many/,
    )
    const day = ['--from', '2026-01-09', '--to', '2026-01-10']
    expect(await slo('backtest', '--config', config, ...day)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^refused: .*many-to-many/),
    })
  })

  test('report: an objective of events without a sample for an hour is called silent, and a group ended', async () => {
    const later = new Date((midnight + 190) * 60_000).toISOString()
    const report = JSON.parse((await slo('report', '--json', '--at', later)).out)
    expect(report['billing/availability']).toMatchObject({ silentSince: '2026-01-10T01:00:00Z' })
    expect(report['api/availability'].silentSince).toBeUndefined()
    expect((await slo('report', '--at', later)).out).toMatch(
      /: not known\n(.*\n)+ .*no sample could be counted since 01-10 01:00/,
    )
    const ended = new Date((midnight + 90 + 2 * 1440) * 60_000).toISOString()
    const { out } = await slo('report', '--json', '--at', ended, '--window', '3d')
    expect(JSON.parse(out)['routes{route="/buy"}']).toMatchObject({
      broken: 600,
      endedAt: '2026-01-10T00:59:00Z',
    })
    const met = openSlo('answers', ratio({ bad: failed }, all), { target: 0.5 })
    const config = writeConfig('silent', `prometheus: ${running.url}`, [met])
    expect(await slo('report', ...at, '--config', config)).toMatchObject({ code: 0 })
    expect(await slo('report', '--at', later, '--config', config)).toMatchObject({ code: 2 })
  })

  test('report: the text speaks of the objective alone', async () => {
    const { out } = await slo('report', ...at)
    expect(out).toMatch(/^Objectives of api, billing from /)
    expect(out).toContain('600 bad')
    expect(out).toContain('used up: 4.8 times what is allowed')
    expect(out).not.toMatch(/tintype|photo|promise|witness/i)
  })

  test('rules: Prometheus accepts them, and lint says what they cannot express', async () => {
    const file = join(folder, 'rules.yml')
    writeFileSync(file, (await slo('rules')).out)
    expect(readFileSync(file, 'utf8')).toContain(
      'runbook_url: http://localhost:8084/docs/runbooks/budget-burn.md',
    )
    expect(execFileSync(parts.promtool, ['check', 'rules', file], { encoding: 'utf8' })).toContain('SUCCESS')
    const { out, code } = await slo('lint')
    expect(out.match(/calendar-in-rules/g)).toHaveLength(2)
    expect(code).toBe(0)
  })

  test('lint: a grouping by a label that a part lacks is found in Prometheus', async () => {
    const lacking = openSlo('routes', ratio({ bad: 'up' }, all), { target: 0.9, groupBy: 'route' })
    const config = writeConfig('lacking', `prometheus: ${running.url}`, [lacking])
    const parsed = parseFiles([join(config, 'objectives')])
    const api = prometheusApi(running.url, unscoped)
    const found = await lintSeen(parsed, api, (midnight + 90) * 60)
    expect(found.map(({ message }) => message)).toEqual([
      'Prometheus had no series of up{route!=""} in the last day: no event counts as bad',
    ])
  })

  test('lint: a Prometheus is asked whether it has series of each query', async () => {
    const [none, wrong] = ['http_requests_total{code="599"}', 'http_request_total']
    const document = openSlo('answers', ratio({ bad: `sum(${none})` }, wrong), { target: 0.9 })
    const mistaken = openSlo('mistaken', ratio({ bad: `sum(${failed}, 1)` }, all), { target: 0.9 })
    const seldom = openSlo('seldom', ratio({ good: 'checks_total{code="200"}' }, 'sum(checks_total)'), {
      method: 'Timeslices',
      target: 0.9,
    })
    const turns = openSlo('turns', ratio({ good: 'turns_total{code="200"}' }, 'sum(turns_total)'), {
      target: 0.9,
    })
    const config = writeConfig('seen', 'selectors: { namespace: shop }', [
      document,
      seldom,
      turns,
      ...documents.slice(0, 1),
      mistaken,
    ])
    const api = prometheusApi(running.url, { ...unscoped, selectors: { namespace: 'shop' } })
    const files = parseFiles([join(config, 'objectives')])
    expect(await lintSeen(files, api, (midnight + 90) * 60)).toMatchObject([
      { severity: 'warning', rule: 'not-seen', message: expect.stringContaining(none) },
      { severity: 'error', rule: 'not-seen', message: expect.stringContaining(wrong) },
      {
        severity: 'warning',
        rule: 'sampled-seldom',
        message: expect.stringContaining('has 5 samples in ten'),
      },
      { severity: 'warning', rule: 'falls-often' },
      { severity: 'error', rule: 'refused', message: expect.stringContaining('wrong number of arguments') },
    ])
    // Nothing was recorded in the last day.
    expect(await slo('lint', '--prometheus', running.url, '--config', config)).toMatchObject({
      code: 1,
      out: expect.stringContaining(`no series of ${all} in`),
    })
  })

  test('backtest: the group that failed fires alone', async () => {
    const from = new Date(midnight * 60_000).toISOString()
    const { out } = await slo('backtest', '--json', '--from', from, '--to', at[1] ?? '')
    const fired = JSON.parse(out).alerts.filter(({ fires }: { fires: string[] }) => fires.length > 0)
    const routes = fired.filter(({ objective }: { objective: string }) => objective.startsWith('routes'))
    expect(routes.length).toBeGreaterThan(0)
    for (const { objective } of routes) expect(objective).toBe('routes{route="/buy"}')
  })

  test('budget: says which objectives have one in minutes', async () => {
    expect(await slo('budget', '--objective', 'routes')).toMatchObject({
      code: 2,
      err: expect.stringContaining('objectives with a budget in minutes: api/availability, quiet'),
    })
  })

  test('without a Prometheus, lint and serve refuse what the recorder cannot read', async () => {
    const targets = 'targets: [{ job: api, url: http://127.0.0.1:9/metrics }]'
    const config = writeConfig('embedded', targets, documents.slice(3))
    expect(await slo('lint', '--config', config)).toMatchObject({
      code: 1,
      out: expect.stringContaining('needs-prometheus'),
    })
    const serving = runScript('slo/main.ts', ['serve', '--config', config], {
      DATA_DIR: await temporaryFolder(),
    })
    expect(await serving).toMatchObject({ code: 1, err: expect.stringContaining('needs a Prometheus') })
  })
})
