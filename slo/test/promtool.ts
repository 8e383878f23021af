import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { rules } from '../alerts/rules.ts'
import { ruleYaml } from '../cli/rules.ts'
import type { Timeline } from '../math/backtest.ts'
import type { Objective } from '../sources/index.ts'
import type { Scope } from '../sources/promql.ts'
import type { Simulated, SimulatedSeries } from './simulate.ts'

/** A promtool test: samples, and the alerts that fire in each minute. */
export const promtoolTest = ({ name, minutes, series }: Simulated, timelines: readonly Timeline[]) => ({
  name,
  interval: '1s',
  input_series: series
    .filter(({ samples }) => samples.length > 0)
    .map(each => ({ series: identity(each), values: values(each) })),
  promql_expr_test: [
    ...interesting(timelines, minutes).map(minute => ({
      expr: 'count by (objective, tier, job) (ALERTS{alertstate="firing", tier!=""})',
      eval_time: `${minute}m`,
      exp_samples: timelines.flatMap(timeline => (firing(timeline, minute) ? [sample(timeline, 1)] : [])),
    })),
    {
      expr: `sum by (objective, tier, job) (count_over_time(ALERTS{alertstate="firing", tier!=""}[${minutes}m]))`,
      eval_time: `${minutes}m`,
      exp_samples: timelines.flatMap(timeline => {
        const count = Array.from({ length: minutes + 1 }, (_, i) => i).filter(i => firing(timeline, i)).length
        return count === 0 ? [] : [sample(timeline, count)]
      }),
    },
  ],
})

type Sample = { labels: string; value: number }
type PromtoolTest = Omit<ReturnType<typeof promtoolTest>, 'promql_expr_test'> & {
  promql_expr_test: { expr: string; eval_time: string; exp_samples: Sample[] }[]
}

const firing = ({ firings }: Timeline, minute: number): boolean =>
  firings.some(({ fires, clears }) => minute >= fires && (clears === null || minute < clears))

/** Alerts of groups have the group's own label; these tests group by job. */
function sample({ objective, tier }: Timeline, value: number) {
  const [, name, job = 'tintype'] = /^([^{]*)(?:\{job="(.*)"\})?$/.exec(objective) ?? []
  return { labels: `{objective="${name}", job="${job}", tier="${tier}"}`, value }
}

/** The minutes at which an alert fires or clears, and the minutes before. */
const interesting = (timelines: readonly Timeline[], minutes: number): number[] =>
  [
    ...new Set(
      timelines
        .flatMap(({ firings }) => firings.flatMap(({ fires, clears }) => [fires, clears ?? minutes]))
        .flatMap(minute => [minute - 1, minute]),
    ),
  ]
    .filter(minute => minute >= 0 && minute <= minutes)
    .sort((a, b) => a - b)

const identity = ({ metric, labels }: SimulatedSeries): string =>
  `${metric}{${Object.entries(labels).map(([name, value]) => `${name}="${value}"`)}}`

/** promtool’s notation at one value a second: `_x14` are fourteen seconds without a sample. */
function values({ samples }: SimulatedSeries): string {
  let next = 0
  const words: string[] = []
  for (const { timeMs, value } of samples) {
    const gap = timeMs / 1000 - next
    if (gap > 0) words.push(`_x${gap}`)
    words.push(String(value))
    next = timeMs / 1000 + 1
  }
  return words.join(' ')
}

const testYaml = (tests: readonly PromtoolTest[]): string =>
  stringify({ rule_files: ['rules.yaml'], evaluation_interval: '1m', tests }, { lineWidth: 0 })

/** Runs tests on the generated rules. @throws with promtool's message when one fails. */
export async function runPromtool(
  promtool: string,
  folder: string,
  objectives: readonly Objective[],
  tests: readonly PromtoolTest[],
  scope?: Scope,
): Promise<void> {
  await writeFile(join(folder, 'rules.yaml'), ruleYaml(rules(objectives, scope)))
  await writeFile(join(folder, 'tests.yaml'), testYaml(tests))
  await promisify(execFile)(promtool, ['test', 'rules', 'tests.yaml'], { cwd: folder, maxBuffer: 2 ** 28 })
}
