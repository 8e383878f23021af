import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { limits } from '@tintype/lib/limits.ts'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { backtest, type Timeline } from '../math/backtest.ts'
import { tally } from '../math/sli.ts'
import type { Objective } from '../sources/index.ts'
import { readRecorded } from '../sources/recorded.ts'
import { computedKinds, countedKinds, metric, objectivesIn, openSlo, ratio } from '../test/kinds.ts'
import { promtoolTest, runPromtool } from '../test/promtool.ts'
import { samplesSource } from '../test/samples-source.ts'
import { type Scenario, type Simulated, simulate } from '../test/simulate.ts'
import { evaluatedNow } from './alertmanager.ts'
import { alertmanagerConfig, rules } from './rules.ts'

const objectives = readDirectory().objectives
const committed = fileURLToPath(new URL('../tintype/generated/rules.yml', import.meta.url))

test('the generated rules are the committed ones (npm run rules writes them)', () => {
  expect(parse(readFileSync(committed, 'utf8'))).toEqual(rules(objectives))
})

async function timelinesOf(simulated: Simulated): Promise<Timeline[]> {
  const recorded = await readRecorded(samplesSource(simulated), objectives, {
    from: 0,
    to: simulated.minutes,
  })
  return (recorded?.objectives ?? []).flatMap(({ objective, tally }) =>
    backtest(objective, tally, 0, simulated.minutes),
  )
}

const begin = 30

/** Everything well but an outage of `length` minutes after half an hour, in which a share of minutes or promises is bad. */
const scenario = (name: string, length: number, change: Partial<Scenario>): Scenario => ({
  name,
  minutes: begin + length + 45,
  phase: 7,
  seed: 1,
  outages: [],
  lateness: [],
  photosAMinute: 60,
  blind: [],
  probeAway: [],
  restarts: [],
  counting: [{ process: 'converter', from: 0, to: Infinity, zeroed: true }],
  ...change,
})
const trouble = (length: number, flap = 0) => [
  { from: begin * 60, to: (begin + length) * 60, share: 1, flap },
]

const table: [Scenario, Record<string, number[]>][] = [
  [scenario('3 minutes offline are silent', 3, { outages: trouble(3) }), {}],
  [
    scenario('10 minutes offline page fast alone', 10, { outages: trouble(10) }),
    { 'availability page-fast': [36, 44] },
  ],
  [
    scenario('everything late, with half an hour of history', 6, { lateness: trouble(6) }),
    {
      'latency page-fast': [32],
      'latency page-slow': [32],
      'latency ticket-fast': [31],
      'latency ticket-slow': [31],
    },
  ],
  [
    scenario('2 minutes up, 2 down is one page', 60, { outages: trouble(60, 120) }),
    { 'availability page-fast': [40] },
  ],
  [
    scenario('a probe that is away is offline', 10, {
      probeAway: [{ from: begin * 60 + 1, to: (begin + 10) * 60 }],
    }),
    { 'availability page-fast': [36, 44] },
  ],
]

test.each(table.map(([outage, expected]) => ({ outage, expected })))(
  '$outage.name',
  async ({ outage, expected }) => {
    const timelines = await timelinesOf(simulate(outage))
    for (const [key, times] of Object.entries(expected)) {
      const [objective, tier] = key.split(' ')
      const firings =
        timelines.find(each => each.objective === objective && each.tier === tier)?.firings ?? []
      expect(firings.flatMap(({ fires, clears }) => [fires, clears]).slice(0, times.length)).toEqual(times)
      expect(firings).toHaveLength(1)
    }
    if (Object.keys(expected).length === 0)
      expect(timelines.every(({ firings }) => firings.length === 0)).toBe(true)
  },
)

describeWithParts('Prometheus', ['promtool'], ({ promtool }) => {
  const twoCounters = computedKinds.filter(({ name }) => name === 'two-counters')
  test('accepts the generated rules', () => {
    expect(execFileSync(promtool, ['check', 'rules', committed], { encoding: 'utf8' })).toContain('SUCCESS')
  })

  test('fires and clears them in the minutes of the embedded evaluation', { timeout: 120_000 }, async () => {
    const tests = await Promise.all(
      table.map(async ([outage]) => {
        const simulated = simulate(outage)
        return promtoolTest(simulated, await timelinesOf(simulated))
      }),
    )
    await runPromtool(promtool, await temporaryFolder(), objectives, tests)
  })

  test('reads the braces, quotes and line breaks of names and selectors as they are', async () => {
    const odd = 'a{{b}} "c"\n{{{$value'
    const named = objectives.map(each => ({ ...each, displayName: `Of ${odd}`, unit: odd }))
    const scope = { selectors: { cluster: odd }, replicaLabels: [] }
    const watchdog = {
      name: 'labels',
      interval: '15s',
      input_series: [],
      promql_expr_test: [],
      alert_rule_test: [
        {
          eval_time: '2m',
          alertname: 'SloWatchdog',
          exp_alerts: [
            {
              exp_labels: { severity: 'watchdog', cluster: odd },
              exp_annotations: Object(rules(named, scope).groups.at(-1)?.rules[0]).annotations,
            },
          ],
        },
      ],
    }
    await runPromtool(promtool, await temporaryFolder(), named, [watchdog], scope)
  })

  test('of events record no series without the label of the groups, and a whole budget where nothing was counted', async () => {
    const series = (labels: string, values: string) => ({
      series: `tintype_promises_total{outcome="kept"${labels}}`,
      values,
    })
    const own = 'instance="all",objective="grouped",service="tintype"'
    await runPromtool(
      promtool,
      await temporaryFolder(),
      countedKinds.filter(({ name }) => name === 'grouped'),
      [
        {
          name: 'groups',
          interval: '15s',
          input_series: [series(',job="web"', '0+0x40'), series('', '0+3x40')],
          promql_expr_test: [
            {
              expr: 'slo:budget_left:ratio',
              eval_time: '9m',
              exp_samples: [{ labels: `slo:budget_left:ratio{job="web",${own}}`, value: 1 }],
            },
          ],
        },
      ],
    )
  })

  test('of computed events are known to be evaluated while their alert fires, also when the service is away', async () => {
    const test = (expr: string, found: boolean) => ({
      expr,
      eval_time: '80m',
      exp_samples: found ? [{ labels: '{objective="two-counters",service="tintype"}', value: 1 }] : [],
    })
    await runPromtool(promtool, await temporaryFolder(), twoCounters, [
      {
        name: 'away',
        interval: '15s',
        input_series: [{ series: 'tintype_promises_total{outcome="broken"}', values: '0+3x240 stale' }],
        promql_expr_test: [test('last_over_time(slo:bad:count1m[5m])', false), test(evaluatedNow, true)],
      },
    ])
  })

  test('of a computed sum do not count a process’s old events again after it missed a scrape', async () => {
    const series = (instance: string, values: string) => ({
      series: `tintype_promises_total{outcome="kept",instance="${instance}"}`,
      values,
    })
    await runPromtool(promtool, await temporaryFolder(), twoCounters, [
      {
        name: 'a missed scrape',
        interval: '15s',
        input_series: [series('a', '0+3x80'), series('b', '1000+3x19 stale 1063+3x59')],
        promql_expr_test: [
          {
            expr: 'max_over_time(slo:total:increase1m[15m]) < bool 40',
            eval_time: '18m',
            exp_samples: [
              {
                labels: '{instance="all",job="tintype",objective="two-counters",service="tintype"}',
                value: 1,
              },
            ],
          },
        ],
      },
    ])
  })

  test('count the first value of a series whose process was scraped before', async () => {
    const grouped = countedKinds.filter(({ name }) => name === 'grouped')
    const series = (name: string, values: string) => ({ series: name, values })
    const total = (value: number) => ({
      expr: 'sum(sum_over_time(slo:total:increase1m[9m30s]))',
      eval_time: '10m',
      exp_samples: [{ labels: '{}', value }],
    })
    await runPromtool(promtool, await temporaryFolder(), grouped, [
      {
        name: 'a late series, one of a new process, one whose target got a label, and one that got it alone',
        interval: '15s',
        input_series: [
          series('up{job="a",instance="1"}', '1x40'),
          series('up{job="a",instance="2"}', '_x19 1x20'),
          series('tintype_promises_total{outcome="broken",job="a",instance="1"}', '_x19 5+1x20'),
          series('tintype_promises_total{outcome="broken",job="a",instance="2"}', '_x19 500+1x20'),
          series('up{job="a",instance="3"}', '1x19'),
          series('up{job="a",instance="3",zone="b"}', '_x20 1x20'),
          series('tintype_promises_total{outcome="broken",job="a",instance="3"}', '300+1x19'),
          series('tintype_promises_total{outcome="broken",job="a",instance="3",zone="b"}', '_x20 320+1x20'),
          series('up{job="a",instance="4"}', '1x40'),
          series('tintype_promises_total{outcome="broken",job="a",instance="4"}', '300+1x19 stale'),
          series('tintype_promises_total{outcome="broken",job="a",instance="4",zone="b"}', '_x20 320+1x20'),
        ],
        promql_expr_test: [total(45 + 19 + 20 + 19 + 20)],
      },
    ])
  })

  test('have a budget for each group, however many there are', async () => {
    const grouped = countedKinds.filter(({ name }) => name === 'grouped')
    const input_series = Array.from({ length: limits.objectiveGroups.value + 1 }, (_, i) => ({
      series: `tintype_promises_total{outcome="kept",job="j${i}"}`,
      values: '0+1x20',
    }))
    const exp_samples = [{ labels: '{}', value: input_series.length }]
    const promql_expr_test = [{ expr: 'count(slo:budget_left:ratio)', eval_time: '5m', exp_samples }]
    await runPromtool(promtool, await temporaryFolder(), grouped, [
      { name: 'many groups', interval: '15s', input_series, promql_expr_test },
    ])
  })

  test('of a gauge read nothing of a group without recent samples, while others have them', async () => {
    const more = { method: 'Timeslices', op: 'lte', value: 5, target: 0.9, groupBy: 'city' }
    const text = openSlo('depth', { thresholdMetric: metric('max by (city) (depth)') }, more)
    const labels = (city: string) =>
      `slo:total:increase1m{city="${city}",instance="all",job="tintype",objective="depth",service="tintype"}`
    await runPromtool(promtool, await temporaryFolder(), objectivesIn(text), [
      {
        name: 'one of two sources is away',
        interval: '15s',
        input_series: [
          { series: 'depth{city="Kyiv"}', values: '1x20' },
          { series: 'depth{city="Lyon"}', values: '1x40' },
        ],
        promql_expr_test: [
          {
            expr: 'slo:total:increase1m',
            eval_time: '9m',
            exp_samples: [
              { labels: labels('Kyiv'), value: 0 },
              { labels: labels('Lyon'), value: 6 },
            ],
          },
        ],
      },
    ])
  })

  test('of counters of seconds call no minute bad for a rounding error', async () => {
    const indicator = ratio({ good: 'good_seconds_total' }, 'all_seconds_total')
    const text = openSlo('seconds', indicator, { method: 'Timeslices', target: 0.9 })
    const series = (name: string, from: number) => ({
      series: `${name}_seconds_total{job="web"}`,
      values: `${from}+0.1x80`,
    })
    const labels = '{instance="all",job="tintype",objective="seconds",service="tintype"}'
    await runPromtool(promtool, await temporaryFolder(), objectivesIn(text), [
      {
        name: 'seconds',
        interval: '15s',
        input_series: [series('good', 1234.7), series('all', 98_765.3)],
        promql_expr_test: [
          {
            expr: 'sum_over_time(slo:bad:count1m[15m])',
            eval_time: '18m',
            exp_samples: [{ labels, value: 0 }],
          },
        ],
      },
    ])
  })

  test('of counters of seconds fire where the short window has less than a bad one', async () => {
    const indicator = ratio({ bad: 'slow_seconds_total' }, 'all_seconds_total')
    const [seconds] = objectivesIn(openSlo('seconds', indicator, { target: 0.9 }))
    const series = (name: string) => ({ series: `${name}_seconds_total`, values: '0+0.05x120' })
    const [slots, objective] = [30, seconds as Objective]
    const bad = (start: number) => ({ start, good: 0, total: 0.2, unknown: false })
    const tallied = tally(
      objective,
      0,
      Array.from({ length: slots }, (_, i) => bad(i)),
    )
    const page = backtest(objective, tallied, 0, slots).find(({ tier }) => tier === 'page-fast')
    expect(page?.firings).toMatchObject([{ clears: null }])
    await runPromtool(
      promtool,
      await temporaryFolder(),
      [objective],
      [
        {
          name: 'seconds',
          interval: '15s',
          input_series: [series('slow'), series('all')],
          promql_expr_test: [
            {
              expr: 'count by (tier) (ALERTS{alertstate="firing",tier="page-fast"})',
              eval_time: '25m',
              exp_samples: [{ labels: '{tier="page-fast"}', value: 1 }],
            },
          ],
        },
      ],
    )
  })

  test('of a scope count ours alone, and the copies of a pair once', async () => {
    const [counted] = countedKinds.filter(({ name }) => name === 'bad-events')
    const series = (labels: string, values: string) => ({
      series: `tintype_promises_total{outcome="kept",job="web",${labels}}`,
      values,
    })
    await runPromtool(
      promtool,
      await temporaryFolder(),
      [counted as Objective],
      [
        {
          name: 'a pair',
          interval: '15s',
          input_series: [
            series('namespace="ours",replica="a"', '0+3x20'),
            // The second copy is a scrape behind.
            series('namespace="ours",replica="b"', '_ 0+3x19'),
            series('namespace="theirs",replica="a"', '0+1000x20'),
          ],
          promql_expr_test: [
            {
              expr: 'slo:good:increase1m',
              eval_time: '4m',
              exp_samples: [
                {
                  labels:
                    'slo:good:increase1m{objective="bad-events",service="tintype",instance="all",job="tintype",namespace="ours"}',
                  value: 12,
                },
              ],
            },
          ],
        },
      ],
      { selectors: { namespace: 'ours' }, replicaLabels: ['replica'] },
    )
  })

  test('let a group end a day after the last thing that it counted', { timeout: 120_000 }, async () => {
    // Without its alerts: evaluating them in each minute of the day is most of what promtool would do.
    const grouped = countedKinds
      .filter(({ name }) => name === 'grouped-slices')
      .map(each => ({ ...each, tiers: [] }))
    const counted = (job: string, values: string) => ({
      series: `tintype_promises_total{outcome="kept",job="${job}"}`,
      values,
    })
    const badMinutes = (hours: number, ...values: [job: string, value: number][]) => ({
      expr: 'slo:bad:count1m',
      eval_time: `${hours}h`,
      exp_samples: values.map(([job, value]) => ({
        labels: `slo:bad:count1m{objective="grouped-slices",service="tintype",instance="all",job="${job}"}`,
        value,
      })),
    })
    const tests = [
      {
        name: 'a group that is gone',
        interval: '15s',
        input_series: [counted('stays', '0+1x6240'), counted('goes', '0+1x240')],
        promql_expr_test: [badMinutes(24, ['stays', 0], ['goes', 1]), badMinutes(26, ['stays', 0])],
      },
    ]
    await runPromtool(promtool, await temporaryFolder(), grouped, tests)
  })

  test('says so when a minute is wrong', { timeout: 120_000 }, async () => {
    const simulated = simulate((table[1] as [Scenario, unknown])[0])
    const late = (await timelinesOf(simulated)).map(timeline => ({
      ...timeline,
      firings: timeline.firings.map(each => ({ ...each, fires: each.fires + 1 })),
    }))
    const run = runPromtool(promtool, await temporaryFolder(), objectives, [promtoolTest(simulated, late)])
    await expect(run).rejects.toThrow(/FAILED/)
  })
})

test('a page inhibits the tickets of its own group and namespace alone', () => {
  const config = alertmanagerConfig({ webhook: '/w', deadman: '/w' }, countedKinds, {
    selectors: { namespace: 'shop' },
    replicaLabels: [],
  })
  expect(config).toMatchObject({
    route: { group_by: ['service', 'objective', 'severity', 'namespace', 'job'] },
    // Labels that both lack are equal, so that a page without an objective would inhibit tickets of others.
    inhibit_rules: [
      {
        source_matchers: ['severity="page"', 'objective!=""'],
        equal: ['service', 'objective', 'namespace', 'job'],
      },
    ],
  })
})

describeWithParts('Alertmanager', ['amtool'], ({ amtool }) => {
  test('accepts the generated routes', async () => {
    const file = join(await temporaryFolder(), 'alertmanager.yml')
    const webhook = 'http://127.0.0.1:8084/alerts'
    writeFileSync(file, stringify(alertmanagerConfig({ webhook, deadman: webhook })))
    expect(execFileSync(amtool, ['check-config', file], { encoding: 'utf8' })).toContain('SUCCESS')
  })
})
