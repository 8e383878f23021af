import type { ResourceReading, Service, StageReading } from '../directory/service.ts'
import { formatSelector } from '../sources/promql.ts'
import { type Expression, parseExpression } from './expression.ts'

/** What diagnosis needs of service.yaml, with the expressions parsed. */
export type Model = Pick<Service, 'jobs' | 'away' | 'failedSeconds' | 'slowSeconds'> & {
  stages: readonly Stage[]
  resources: readonly Resource[]
  traffic: Expression | undefined
  /** How many processes of a job there should be. */
  expected: ((job: string) => Expression) | undefined
}

export type Stage = Omit<StageReading, 'seconds' | 'failing'> & {
  seconds: Expression
  failing: Expression | undefined
}

/**
 * How a resource bears on a stage's time:
 * `part`: seconds of it. It explains its growth in the stage's growth.
 * `factor`: the time is a product of these (work × cost ÷ power). It explains its part of the logarithm.
 * `exhausted`: a level from 0 to 1. It explains everything when it reaches `limit`, and nothing below.
 * `taken`: a share of whatever a process does. It explains the share's growth; the parts are less by it.
 */
export type Resource = ResourceReading & { expression: Expression; metric: string }

/** @throws ExpressionError; slo lint names its place. */
export function modelOf(service: Service): Model {
  const { jobs, away, failedSeconds, slowSeconds, traffic, replicas } = service
  return {
    ...{ jobs, away, failedSeconds, slowSeconds },
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
    expected: replicas === '' ? undefined : job => parseExpression(replicas.replaceAll('$job', job)),
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

/** The names of every metric that diagnosis reads; nothing else is read. */
export function metricsRead({ stages, resources, traffic, expected }: Model): string[] {
  const expressions = [
    ...stages.flatMap(({ seconds, failing }) => [seconds, failing]),
    ...resources.map(({ expression }) => expression),
    traffic,
    expected?.('job'),
  ]
  const named = expressions.flatMap(each => (each ? each.selectors.map(({ metric }) => metric) : []))
  return [...new Set([upMetric, startMetric, ...named])].sort()
}
