import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'
import { parse, stringify } from 'yaml'
import { describeWithParts, temporaryFolder } from '../test/support.ts'

const files = ['rules/prometheus-rule.yaml', 'monitoring/away.yaml']

type Sample = { labels: string; value: number }
type Case = {
  interval: '10s'
  input_series: { series: string; values: string }[]
  promql_expr_test: { expr: string; eval_time: string; exp_samples: Sample[] }[]
}

const firing = (expr: string, at: string, names: string[]) => ({
  expr: `count by (alertname, namespace) (ALERTS{alertstate="firing"${expr}})`,
  eval_time: at,
  exp_samples: names.map(name => ({ labels: `{alertname="${name}", namespace="monitoring"}`, value: 1 })),
})
const up = (job: string, pod: string, values: string, namespace = 'tintype') => ({
  series: `up{namespace="${namespace}", job="${job}", pod="${pod}"}`,
  values,
})

describeWithParts('the rules as the cluster has them', ['promtool'], ({ promtool }) => {
  async function run(cases: Case[]): Promise<void> {
    const folder = await temporaryFolder()
    const specs = files.map((file, i) => {
      const { spec } = parse(readFileSync(join(import.meta.dirname, file), 'utf8'))
      writeFileSync(join(folder, `${i}.yaml`), stringify(spec))
      return `${i}.yaml`
    })
    execFileSync(promtool, ['check', 'rules', ...specs], { cwd: folder })
    writeFileSync(
      join(folder, 'tests.yaml'),
      stringify(
        { rule_files: specs, evaluation_interval: '1m', tests: cases },
        { aliasDuplicateObjects: false },
      ),
    )
    execFileSync(promtool, ['test', 'rules', 'tests.yaml'], { cwd: folder })
  }
  const away = ', alertname=~"Tintype.*"'

  test('a namespace that is away pages, also when nothing of it is left to scrape', async () => {
    const others = [up('web', 'w', '1x60', 'other'), up('slo', 's', '1x60', 'other')]
    const well = [up('web', 'a', '1x60'), up('slo', 's', '1x60')]
    const gone = [up('web', 'a', '1x6 _x54'), up('slo', 's', '1x6 _x54')]
    const refusing = [up('web', 'a', '1x6 0x54'), up('web', 'b', '1x6 0x54'), up('slo', 's', '1x60')]
    const one = [up('web', 'a', '0x60'), up('web', 'b', '1x60'), up('slo', 's', '1x60')]
    const expected: [Case['input_series'], string[]][] = [
      [well, []],
      [gone, ['TintypeAway']],
      [refusing, ['TintypeAway']],
      [one, []],
    ]
    await run(
      expected.map(([series, names]) => ({
        interval: '10s',
        input_series: [...others, ...series],
        promql_expr_test: [firing(away, '9m', names)],
      })),
    )
  })

  test('another namespace’s probe and promises are not ours', async () => {
    const counter = (metric: string, labels: string, step: number) =>
      ['tintype', 'other'].map((namespace, i) => ({
        series: `${metric}{namespace="${namespace}", ${labels}}`,
        values: `0+${step * (i === 0 ? 1 : 100)}x60`,
      }))
    const recorded = (objective: string, value: number) => ({
      expr: `slo:total:increase1m{objective="${objective}"}`,
      eval_time: '8m',
      exp_samples: [
        {
          labels: `slo:total:increase1m{objective="${objective}", service="tintype", job="tintype", instance="all", namespace="tintype"}`,
          value,
        },
      ],
    })
    await run([
      {
        interval: '10s',
        input_series: [
          ...counter('tintype_probe_attempts_total', 'outcome="success"', 1),
          ...counter('tintype_promises_total', 'outcome="kept"', 3),
        ],
        promql_expr_test: [recorded('availability', 6), recorded('latency', 18)],
      },
    ])
  })
})
