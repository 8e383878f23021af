import { clockSkewMs } from '../sources/counter.ts'
import { type Samples, type Window, windowOf } from './evaluate.ts'
import { type Explained, explain, isSlow, leastExplained } from './explain.ts'
import { numberIn, parseExpression } from './expression.ts'
import type { Baseline } from './growth.ts'
import { attribute, beside, growthOf, lasting, median, minBaselineWindows, recent } from './growth.ts'
import { type Model, replicasOf, type Stage, startMetric, upMetric } from './model.ts'
import { remark } from './remark.ts'

/** A process that differs from the others of its job. */
type OddReplica = {
  instance: string
  text: string
  isAway: boolean
  /** The stage in which the process is slow, and what explains it. */
  slow?: Explained
}

/** The processes of a job. `isAway`: no process answers. */
export type JobState = { job: string; isAway: boolean; odd: OddReplica[] }

/** Windows that tell a process that was always slow from chance. */
const enoughWindows = 10

/**
 * The jobs of the service, and the processes of each that are missing or slower than the others at the same time. A
 * stage’s mean hides one slow process among many, and a missing one whose work the others do.
 */
export function jobsAt(model: Model, now: Window, baseline: Baseline): JobState[] {
  return jobsIn(model, now).map(job => {
    const all = upIn(job, now)
    // A process is not away if it answers again, or if only every other scrape is lost.
    const answers = upIn(job, recent(now), 0)
    const up = [...all.keys()].filter(instance => all.get(instance) || answers.get(instance))
    const gone = goneOf(model, job, now, baseline.windows)
    const isAway = up.length === 0 && (all.size > 0 || gone.length > 0)
    if (isAway) return { job, isAway, odd: [] }
    const ending = endingIn(job, now)
    const odd = [...all.keys()].flatMap(instance => {
      const isAway = !up.includes(instance)
      const text = remark(isAway ? 'away' : 'ends', { process: `${job} ${instance}` })
      return isAway || ending.includes(instance) ? { instance, text, isAway } : []
    })
    odd.push(...gone)
    const isAlone = all.size + gone.length < 2
    return { job, isAway, odd: isAlone ? odd : [...odd, ...slowReplicas(model, job, up, now, baseline)] }
  })
}

/** The jobs of the service, or else all scraped jobs. */
const jobsIn = ({ jobs }: Model, { samples }: Pick<Window, 'samples'>): readonly string[] =>
  jobs.length > 0 ? jobs : [...new Set(samples(upMetric).map(({ labels }) => labels.job ?? ''))]

/** The scraped processes of a job in a window, and whether each answered in more than a share of it. */
function upIn(job: string, window: Window, share = 0.5): Map<string, boolean> {
  const answered = parseExpression(
    `max by (instance) (avg_over_time(${upMetric}{job=${JSON.stringify(job)}}[$w]))`,
  )
  return new Map(
    answered.vectorIn(window).map(({ labels: { instance = '' }, value }) => [instance, value > share]),
  )
}

/**
 * The processes of a job that started twice in a window; one start is a restart. A start time counts only if it is later than
 * the scrape before: some runtimes give varying start times, and behind a load balancer several processes answer in turn.
 */
function endingIn(job: string, { samples, fromMs, toMs }: Window): string[] {
  return samples(startMetric).flatMap(({ labels: { instance = '', ...labels }, points }) => {
    const starts = points.filter(({ at, value }, i) => {
      const { at: before = Infinity, value: earlier } = points[i - 1] ?? {}
      return at > fromMs && at <= toMs && value !== earlier && value * 1000 > before - clockSkewMs
    })
    return labels.job === job && starts.length > 1 ? instance : []
  })
}

/**
 * Processes that service discovery no longer has. `replicas` of service.yaml gives the expected number. Without it the
 * baseline gives the earlier number, and fewer may be on purpose.
 */
function goneOf(model: Model, job: string, now: Window, baseline: readonly Window[]): OddReplica[] {
  // Without any recent sample the measurements are late or missing, not the processes.
  if (numberIn(`count(${upMetric})`, recent(now)) === null) return []
  const expected = numberIn(replicasOf(model, job), now)
  const known = baseline.map(window => [...upIn(job, window)].filter(([, isUp]) => isUp))
  const usual = known.length < minBaselineWindows ? 0 : median(known.map(({ length }) => length))
  // A process without recent samples is no longer scraped.
  const present = upIn(job, recent(now))
  const missing = Math.round(expected ?? usual) - present.size
  if (missing <= 0) return []
  const seen = new Set([...known.flat(), ...upIn(job, now)].map(([instance]) => instance))
  const names = [...seen].filter(instance => !present.has(instance)).slice(-missing)
  const counted = { job, present: present.size, wanted: expected ?? usual }
  return (names.length > 0 || expected === null ? names : ['?']).map(instance => ({
    instance,
    isAway: expected !== null,
    text: remark(expected === null ? 'gone' : 'missing', { process: `${job} ${instance}`, ...counted }),
  }))
}

function slowReplicas(model: Model, job: string, instances: string[], now: Window, baseline: Baseline) {
  const alone = instances.map(instance => ({ instance, window: asIfAlone(job, instance, now) }))
  const stages = model.stages.filter(({ jobs }) => jobs.includes(job))
  // A process may by chance have larger work than the others. Then it was sometimes as slow before.
  const isUnusual = (stage: Stage, window: Window, instance: string) => {
    const windows = baseline.windows.map(each => asIfAlone(job, instance, each))
    const { before, growth } = growthOf(model, stage, { ...baseline, windows }, window)
    return before.length < minBaselineWindows || growth > 0
  }
  const isAlwaysSlow = (stage: Stage, instance: string) => {
    const slow = baseline.windows.slice(-enoughWindows).flatMap(window => {
      const others = instances.filter(each => each !== instance).map(each => asIfAlone(job, each, window))
      const { now, growth } = beside(model, stage, asIfAlone(job, instance, window), others)
      return now === null ? [] : growth > 0
    })
    return slow.filter(Boolean).length >= slow.length * lasting
  }
  return alone.flatMap(({ instance, window }, i) => {
    const others = alone.toSpliced(i, 1).map(each => each.window)
    // A process that is slow in several stages is listed with the stage in which it loses most; unusual stages come first.
    const [most] = stages
      .map(stage => beside(model, stage, window, others))
      .filter(isSlow)
      .map(each => ({ ...each, isUnusual: isUnusual(each.of, window, instance) }))
      .filter(each => each.isUnusual || isAlwaysSlow(each.of, instance))
      .toSorted((a, b) => Number(b.isUnusual) - Number(a.isUnusual) || b.growth - a.growth)
    if (!most) return []
    const compared = { windows: others, earlierDays: 0, isQuiet: true, isOtherWork: false, history: 0 }
    const slow = explain(model, most, { window, grown: attribute(model, compared, window) })
    const [best] = slow.evidence
    const text = remark(best && best.explains >= leastExplained ? 'slowBecause' : 'slow', {
      process: `${job} ${instance}`,
      stage: slow.stage,
      cause: best?.cause ?? '',
      seconds: most.now?.toFixed(2) ?? '',
      usual: most.baseline?.toFixed(2) ?? '',
    })
    // One that was always slower may be on a slower machine. It is named as the cause only while a budget burns.
    return [{ instance, text, isAway: false, ...((most.isUnusual || baseline.isQuiet) && { slow }) }]
  })
}

/** The window as if this process were the only one of its job. */
function asIfAlone(job: string, instance: string, now: Window): Window {
  const samples: Samples = metric =>
    now.samples(metric).filter(({ labels }) => labels.job !== job || labels.instance === instance)
  return windowOf(samples, now)
}

/** Texts about processes that started in a span of time. */
export function startsIn(model: Model, samples: Samples, fromMs: number, toMs: number): string[] {
  const jobs = jobsIn(model, { samples })
  return samples(startMetric).flatMap(({ labels: { job = '', instance = '' }, points }) => {
    const started = (points.findLast(({ at }) => at <= toMs)?.value ?? 0) * 1000
    if (!jobs.includes(job) || started <= fromMs || started > toMs) return []
    const process = [job, instance].filter(Boolean).join(' ')
    return [remark('started', { process, time: new Date(started).toISOString() })]
  })
}
