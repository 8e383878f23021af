import type { ResourceReading, Service } from '../slo/directory/service.ts'
import { metricsOf } from './promql.ts'
import { type DashboardSpec, lines, type PanelSpec, type Query } from './spec.ts'

/** An expression of service.yaml for Grafana. In it `$w` is diagnosis's window, and `$b` the baseline's. */
const shown = (expr: string): string =>
  expr.replaceAll('[$b]', '[$__rate_interval] offset $ago').replaceAll('$w', '$__rate_interval')

/** The expression at the earlier time `$ago`. A subquery, because an expression cannot have two offsets. */
const before = (expr: string): string => `last_over_time((${expr})[30s:15s] offset $ago)`

const ages = ['1h', '1d', '7d'] as const

/** The dashboard of the stages: which one takes the time, which grew, which fails. */
export function stagesDashboard({
  stages,
  traffic,
}: Service): Pick<DashboardSpec, 'description' | 'ago' | 'rows'> {
  const each = (expr: (seconds: string) => string): Query[] =>
    stages.map(({ name, seconds }) => ({ expr: expr(shown(seconds)), legend: name }))
  const failing = stages.flatMap(({ name, failing }) =>
    failing ? [{ expr: shown(failing), legend: name }] : [],
  )
  const across = [
    lines({
      title: 'Share of time by stage',
      description: 'Share of each stage in the time of one unit of work.',
      unit: 's',
      min: 0,
      stacked: 'share',
      queries: each(seconds => seconds),
    }),
    lines({
      kind: 'bars',
      title: 'Stage time compared with before',
      description: 'Time of each stage divided by its time at the moment chosen above.',
      unit: 'percentunit',
      min: 0,
      nothing: 'nothing to compare with',
      queries: each(seconds => `(${seconds}) / (${before(seconds)} > 0)`),
      thresholds: [
        { above: 1.5, means: 'late' },
        { above: 3, means: 'broken' },
      ],
    }),
    lines({
      title: 'Error rate by stage',
      description: 'Share of the work that ends in each stage by an error of the service.',
      unit: 'percentunit',
      min: 0,
      max: 1,
      queries: failing,
    }),
    lines({
      title: 'Traffic',
      description: 'Work that users bring.',
      unit: 'reqps',
      min: 0,
      queries: traffic ? [{ expr: shown(traffic), legend: 'traffic' }] : [],
    }),
  ]
  return {
    description: 'Which stage of the work takes the time, which grew, and in which does it fail?',
    ago: ages,
    rows: [
      { title: 'All stages', panels: across.filter(({ queries }) => queries.length > 0) },
      {
        title: 'Time of each stage',
        panels: stages.map(({ name, seconds }) =>
          lines({
            title: `Stage time: ${name}`,
            description: 'Mean seconds of one unit of work, unfinished work included.',
            unit: 's',
            min: 0,
            width: 8,
            queries: [{ expr: shown(seconds), legend: name }],
          }),
        ),
      },
    ],
  }
}

const looks: Record<ResourceReading['kind'], { noun: string; unit: string; what: string }> = {
  part: { noun: '', unit: 's', what: 'Seconds of the stage that this takes' },
  factor: { noun: ' factor', unit: 'short', what: 'A factor of the time of the stage' },
  exhausted: { noun: ' saturation', unit: 'percentunit', what: 'The part of it that is used up' },
  taken: { noun: ' share', unit: 'percentunit', what: 'The part of the time of the process that this takes' },
}

/** Makes `Disk latency` of `disk-latency`, and `CPU` of `cpu`. */
const words = (cause: string): string =>
  cause.length <= 3
    ? cause.toUpperCase()
    : cause.charAt(0).toUpperCase() + cause.slice(1).replaceAll('-', ' ')

/** A panel with a line for each reading of a cause and kind. */
function resourcePanel(stage: string, readings: readonly ResourceReading[]): PanelSpec {
  const [first] = readings as [ResourceReading]
  const { noun, unit, what } = looks[first.kind]
  const queries = readings.map(({ query }) => shown(query))
  const metrics = readings.map(({ metric, query }) => metric ?? metricsOf(shown(query))[0] ?? first.cause)
  const isAlone = (metric: string) => metrics.indexOf(metric) === metrics.lastIndexOf(metric)
  const limit = Math.min(...readings.map(({ limit = 1 }) => limit))
  return lines({
    title: `${words(first.cause)}${noun}: ${stage}`,
    description: `${what}; when diagnosis names ${first.cause}: ${first.action}.`,
    unit,
    width: 6,
    height: 6,
    min: 0,
    nothing: 'not measured here',
    ...(first.kind === 'exhausted' && { softMax: 1, thresholds: [{ above: limit, means: 'late' }] }),
    queries: queries.map((expr, i) => {
      const metric = metrics[i] as string
      return { expr, legend: isAlone(metric) ? metric : `${metric} (${i + 1})` }
    }),
  })
}

/** The dashboard of all readings of diagnosis, by the stage whose time they explain. */
export function resourcesDashboard({
  resources,
}: Service): Pick<DashboardSpec, 'description' | 'ago' | 'rows'> {
  const rows = [...Map.groupBy(resources, ({ stage }) => stage)].map(([stage, ofStage]) => {
    const panels = [...Map.groupBy(ofStage, ({ cause, kind }) => `${cause} ${kind}`).values()]
    return { title: `Stage ${stage}`, panels: panels.map(readings => resourcePanel(stage, readings)) }
  })
  return { description: 'What diagnosis reads, stage by stage: which resource is short?', ago: ages, rows }
}
