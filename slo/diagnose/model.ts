import type { Service } from '../directory/service.ts'
import type { Selector } from '../sources/index.ts'
import { formatSelector } from '../sources/promql.ts'
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

/** The selectors of all that diagnosis reads. */
export function selectorsRead(model: Model): Selector[] {
  const { stages, resources, traffic, jobs } = model
  const ofJob = (metric: string, job: string) => (job ? `${metric}{job=${JSON.stringify(job)}}` : metric)
  const queries = [
    ...stages.flatMap(({ seconds, failing }) => [seconds, failing]),
    ...resources.map(({ query }) => query),
    traffic,
    ...(jobs.length > 0 ? jobs : ['']).flatMap(job => [
      ...[upMetric, startMetric].map(metric => ofJob(metric, job)),
      replicasOf(model, job),
    ]),
  ]
  return queries.flatMap(each => (each ? parseExpression(each).selectors : []))
}
