import type { Service } from '../directory/service.ts'
import type { Selector } from '../sources/index.ts'
import { formatSelector } from '../sources/promql.ts'
import { jobsIn } from '../sources/selector.ts'
import { type Expression, parseExpression } from './expression.ts'

/** What diagnosis needs of service.yaml, with the expressions parsed. */
export type Model = ReturnType<typeof modelOf>
export type Stage = Model['stages'][number]

/**
 * How a resource bears on a stage's time:
 * `part`: seconds of it. It explains its growth in the stage's growth.
 * `factor`: the time is a product of these (work × cost ÷ power). It explains its part of the logarithm.
 * `exhausted`: a level from 0 to 1. It explains everything when it reaches `limit`, and nothing below.
 * `taken`: a share of whatever a process does. It explains the share's growth; the parts are less by it.
 */
export type Resource = Model['resources'][number]

/** @throws ExpressionError; slo lint names its place. */
export function modelOf(service: Service) {
  const { jobs, away, failedSeconds, slowSeconds, traffic, replicas } = service
  return {
    jobs,
    away,
    failedSeconds,
    slowSeconds,
    stages: service.stages.map(stage => ({
      ...stage,
      seconds: parseExpression(stage.seconds),
      failing: stage.failing === undefined ? undefined : parseExpression(stage.failing),
    })),
    resources: service.resources.map(resource => {
      const expression = parseExpression(resource.query)
      return { ...resource, expression, metric: resource.metric ?? nameOf(expression) }
    }),
    traffic: traffic === '' ? undefined : parseExpression(traffic),
    /** How many processes of a job there should be. */
    expected:
      replicas === '' ? undefined : (job: string) => parseExpression(replicas.replaceAll('$job', job)),
  }
}

/** The first selector of an expression; of a histogram's mean the histogram. */
export function nameOf(expression: Expression): string {
  const [first] = expression.selectors
  return first ? formatSelector({ ...first, metric: first.metric.replace(/_sum$/, '') }) : expression.text
}

/** Prometheus' own metrics: whether a target answered, and when a process started. */
export const upMetric = 'up'
export const startMetric = 'process_start_time_seconds'

function selectorsIn({ stages, resources, traffic, expected, jobs }: Model): Selector[] {
  const expressions = [
    ...stages.flatMap(({ seconds, failing }) => [seconds, failing]),
    ...resources.map(({ expression }) => expression),
    traffic,
    ...(jobs.length > 0 ? jobs : ['']).map(job => expected?.(job)),
  ]
  return expressions.flatMap(each => (each ? each.selectors : []))
}

/** The names of every metric that diagnosis reads; nothing else is read. */
export const metricsRead = (model: Model): string[] =>
  [...new Set([upMetric, startMetric, ...selectorsIn(model).map(({ metric }) => metric)])].sort()

/** Of a metric, a pattern of the jobs whose series diagnosis reads; empty for any. */
export function jobsRead(model: Model, metric: string): string {
  const ofEach: Selector[] = model.jobs.map(value => ({
    metric,
    matchers: [{ label: 'job', operator: '=', value }],
  }))
  const own = ofEach.length > 0 ? ofEach : [{ metric, matchers: [] }]
  const named = selectorsIn(model).filter(each => each.metric === metric)
  return jobsIn([...([upMetric, startMetric].includes(metric) ? own : []), ...named])
}
