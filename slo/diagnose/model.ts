import type { Service } from '../directory/service.ts'
import type { Selector } from '../sources/index.ts'
import { formatSelector } from '../sources/promql.ts'
import { jobsIn } from '../sources/selector.ts'
import { parseExpression } from './expression.ts'

/** The parts of service.yaml that diagnosis needs. */
export type Model = Pick<
  Service,
  'jobs' | 'away' | 'failedSeconds' | 'slowSeconds' | 'stages' | 'resources' | 'traffic' | 'replicas'
>
export type Stage = Model['stages'][number]

/**
 * How a resource affects a stage's time:
 * `part`: seconds of the time. Its growth explains that part of the stage's growth.
 * `factor`: the time is a product of these (work × cost ÷ power). It explains its part of the logarithm.
 * `exhausted`: a level from 0 to 1. It explains everything from `limit` on, and nothing below.
 * `taken`: a share of the time of everything that a process does. It explains the share's growth, which the parts lose.
 */
export type Resource = Model['resources'][number]

/** A query's name in evidence, by default its first selector; for a histogram's mean the histogram. */
export function nameOf({ metric, query }: Pick<Resource, 'metric' | 'query'>): string {
  const [first] = parseExpression(query).selectors
  const selector = first && formatSelector({ ...first, metric: first.metric.replace(/_sum$/, '') })
  return metric ?? selector ?? query
}

/** The expression of how many processes of a job there should be; empty when unknown. */
export const replicasOf = ({ replicas }: Model, job: string): string => replicas.replaceAll('$job', job)

/** Prometheus' own metrics: whether a target answered, and when a process started. */
export const upMetric = 'up'
export const startMetric = 'process_start_time_seconds'

function selectorsIn(model: Model): Selector[] {
  const { stages, resources, traffic, jobs } = model
  const queries = [
    ...stages.flatMap(({ seconds, failing }) => [seconds, failing]),
    ...resources.map(({ query }) => query),
    traffic,
    ...(jobs.length > 0 ? jobs : ['']).map(job => replicasOf(model, job)),
  ]
  return queries.flatMap(each => (each ? parseExpression(each).selectors : []))
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
