import { type Samples, type Window, windowOf } from './evaluate.ts'
import { enough, explain, type Weighed } from './explain.ts'
import { numberIn, parseExpression } from './expression.ts'
import { type Grown, median, secondsIn } from './growth.ts'
import { type Model, startMetric, upMetric } from './model.ts'

/** A process unlike the others of its job. `slow`: the stage that it is slow in, and what explains it. */
export type OddReplica = {
  job: string
  instance: string
  text: string
  slow: { stage: string; evidence: Weighed[] } | undefined
}

/** One takes so many times what the others of its job do. */
const slowRatio = 2

/**
 * Of a job with several processes: each that is away, or slower than the others at the same time. A stage's mean over all
 * of them hides one of many, and one that is away is no slowness while the others do its work.
 */
export function oddReplicas(model: Model, now: Window): OddReplica[] {
  return jobsIn(model, now).flatMap(job => {
    const all = instancesOf(job, now)
    const up = all.filter(instance => isUp(job, instance, now))
    if (all.length < 2 || up.length === 0) return []
    const away = all
      .filter(instance => !up.includes(instance))
      .map(instance => ({ job, instance, text: `${job} ${instance} is away`, slow: undefined }))
    return [...away, ...slowReplicas(model, job, up, now)]
  })
}

/** Those of the service, else all that are scraped. */
export const jobsIn = ({ jobs }: Model, { samples }: Window): readonly string[] =>
  jobs.length > 0 ? jobs : [...new Set(samples(upMetric).map(({ labels }) => labels.job ?? ''))]

export const isAway = (job: string, now: Window): boolean =>
  (up(`job=${JSON.stringify(job)}`, now) ?? 1) < 0.5

const up = (matchers: string, now: Window): number | null =>
  numberIn(parseExpression(`max(avg_over_time(${upMetric}{${matchers}}[$w]))`), now)

const ofOne = (job: string, instance: string): string =>
  `job=${JSON.stringify(job)},instance=${JSON.stringify(instance)}`

const isUp = (job: string, instance: string, now: Window): boolean =>
  (up(ofOne(job, instance), now) ?? 0) >= 0.5

const instancesOf = (job: string, now: Window): string[] => {
  const all = now.samples(upMetric).filter(({ labels }) => labels.job === job)
  const names = [...new Set(all.map(({ labels }) => labels.instance ?? ''))]
  return names.filter(instance => up(ofOne(job, instance), now) !== null)
}

function slowReplicas(model: Model, job: string, instances: readonly string[], now: Window): OddReplica[] {
  const alone = instances.map(instance => ({ instance, window: asIfAlone(job, instance, now) }))
  const stages = model.stages.filter(({ jobs }) => jobs.includes(job))
  const slow = stages.flatMap(stage => {
    const took = alone.flatMap(each => {
      const seconds = secondsIn(stage, each.window, model.failedSeconds)
      return seconds === null ? [] : [{ ...each, seconds }]
    })
    return took.flatMap(({ instance, window, seconds }) => {
      const others = took.filter(each => each.instance !== instance)
      const usual = median(others.map(each => each.seconds))
      if (!(seconds > usual * slowRatio && seconds - usual > stage.floorSeconds)) return []
      const growth = seconds - usual
      const before = others.map(each => each.window)
      const grown: Grown = {
        ...{ stage: stage.name, baseline: usual, now: seconds, growth, share: 1, before, since: [] },
      }
      const found = explain(model, grown, window, {
        ...{ windows: before, earlierDays: 0, isQuiet: true, history: 0 },
      })
      const [best] = found.evidence
      const why = best && best.explains >= enough ? ` because of ${best.cause}` : ''
      const text = `${job} ${instance} is slow in ${found.stage}${why}: ${seconds.toFixed(2)} s, the others ${usual.toFixed(2)} s`
      return [{ job, instance, text, slow: found, growth }]
    })
  })
  // One that is slow in several stages is named for the one in which it loses most.
  const byInstance = Map.groupBy(slow, ({ instance }) => instance)
  return [...byInstance.values()].map(of => of.reduce((a, b) => (a.growth >= b.growth ? a : b)))
}

/** The window as if this process were the only one of its job. */
function asIfAlone(job: string, instance: string, now: Window): Window {
  const samples: Samples = metric =>
    now.samples(metric).filter(({ labels }) => labels.job !== job || labels.instance === instance)
  return windowOf(samples, now)
}

/** Processes that started in a stretch of time, in words: what a reader of a verdict wants to know beside it. */
export function startsIn(model: Model, samples: Samples, fromMs: number, toMs: number): string[] {
  const jobs = jobsIn(model, windowOf(samples, { fromMs, toMs }))
  return samples(startMetric).flatMap(({ labels: { job = '', instance = '' }, points }) => {
    const started = (points.findLast(({ at }) => at <= toMs)?.value ?? 0) * 1000
    if (!jobs.includes(job) || started <= fromMs || started > toMs) return []
    return [`${[job, instance].filter(Boolean).join(' ')} started at ${new Date(started).toISOString()}`]
  })
}
