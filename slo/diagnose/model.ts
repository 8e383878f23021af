import type { Service } from '../directory/service.ts'
import type { Selector } from '../sources/index.ts'
import { formatSelector } from '../sources/promql.ts'
import { jobsIn } from '../sources/selector.ts'
import { type Expression, parseExpression } from './expression.ts'

/** The parts of service.yaml that diagnosis needs, with parsed expressions. */
export type Model = ReturnType<typeof modelOf>
export type Stage = Model['stages'][number]

/**
 * How a resource affects a stage's time:
 * `part`: seconds of the time. Its growth explains that part of the stage's growth.
 * `factor`: the time is a product of these (work × cost ÷ power). It explains its part of the logarithm.
 * `exhausted`: a level from 0 to 1. It explains everything from `limit` on, and nothing below.
 * `taken`: a share of the time of everything that a process does. It explains the share's growth, which the parts lose.
 */
export type Resource = Model['resources'][number]

/** @throws ExpressionError */
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
    expected:
      replicas === '' ? undefined : (job: string) => parseExpression(replicas.replaceAll('$job', job)),
  }
}

/** The first selector of an expression; for a histogram's mean the histogram. */
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

export const metricsRead = (model: Model): string[] =>
  [...new Set([upMetric, startMetric, ...selectorsIn(model).map(({ metric }) => metric)])].sort()

/** A pattern of the jobs whose series of a metric diagnosis reads; empty for any job. */
export function jobsRead(model: Model, metric: string): string {
  const ofEach: Selector[] = model.jobs.map(value => ({
    metric,
    matchers: [{ label: 'job', operator: '=', value }],
  }))
  const own = ofEach.length > 0 ? ofEach : [{ metric, matchers: [] }]
  const named = selectorsIn(model).filter(each => each.metric === metric)
  return jobsIn([...([upMetric, startMetric].includes(metric) ? own : []), ...named])
}
