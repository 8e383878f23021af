import { dataOf, type Evidence, type Explained, explain, round, secondsIn, type Weighed } from './explain.ts'
import { oddReplicas } from './replicas.ts'
import type { Cause } from './resource.ts'
import { attribute, type Diagnosed, type Growth, minBaselineWindows } from './stages.ts'
import { index, type Series, type View, view } from './view.ts'

export type { Evidence }

export type Verdict = {
  verdict: Diagnosed | 'healthy' | 'unknown'
  cause: Cause | null
  /** 0 to 1: the stage's share of the growth × what its cause explains of it. */
  confidence: number
  since: string | null
  evidence: Evidence[]
  lever: string | null
  /** The second largest, when two things are slow at once. */
  also: { stage: Diagnosed; cause: Cause | null; share: number } | null
  /** Each stage's time, and what data there was about it. */
  stages: (Growth & { had: string[]; lacked: string[] })[]
  /** Of all stages: metrics that would have told more and were not there. */
  lacking: string[]
  /** What else speaks against a name, in words. */
  remarks: string[]
  /** Processes unlike the others of their service, in words. */
  replicas: string[]
}

/** How long now is, in scrapes; short enough to see an incident's start, long enough for a mean. */
const nowSteps = 12
/** How many windows of that length the baseline has at most. */
const maxBaselineWindows = 30
/** How much must be read for one verdict. */
export const baselineSteps = nowSteps * (maxBaselineWindows + 1)
/** A cause that explains less than half is no name. */
const enough = 0.5
const maxEvidence = 6

/**
 * Names one stage and one cause: which stage's time grew against a baseline of earlier windows, then which resource
 * of that stage left its own baseline and accounts for the growth. `stepMs` is the scrape interval.
 */
export function diagnose(series: readonly Series[], atMs: number, stepMs: number): Verdict {
  const select = index(series)
  const length = nowSteps * stepMs
  const now = view(select, atMs - length, atMs)
  const windows = earlierWindows(series, atMs - length, length).map(start =>
    view(select, start, start + length),
  )
  const before = comparable(windows, now)
  const stages = attribute(before, now)
  const owed = merge(stages.filter(({ growth }) => growth > 0).map(each => explain(each, now, before)))
  const informed = stages.map(each => ({ ...each, ...dataOf(each.stage, now, before) }))
  const common = {
    stages: informed,
    lacking: [...new Set(informed.flatMap(({ lacked }) => lacked))],
    since: since(select, stages, windows, atMs, stepMs),
    replicas: oddReplicas(now),
  }
  const [first, second] = owed
  if (!first) return { ...common, ...atRest(now, windows, stages) }

  const best = named(first)
  const also = second && {
    stage: second.stage,
    cause: named(second)?.cause ?? null,
    share: round(second.share),
  }
  return {
    ...common,
    verdict: first.stage,
    cause: best?.cause ?? null,
    confidence: round(first.share * (best?.explains ?? enough)),
    evidence: first.evidence.slice(0, maxEvidence).map(evidence => shown(evidence, length)),
    lever: best?.lever ?? null,
    also: also ?? null,
    remarks: before.length < minBaselineWindows ? ['there is next to no earlier time to compare with'] : [],
  }
}

/** What explains a stage: of its own, not what led to it from another. */
function named({ evidence }: Explained): Weighed | undefined {
  const best = evidence.find(({ blames }) => blames === undefined)
  return best && best.explains >= enough ? best : undefined
}

const shown = ({ lever: _, blames: __, ...evidence }: Weighed, length: number): Evidence => ({
  ...evidence,
  query: evidence.query.replaceAll('$w', `${Math.round(length / 1000)}s`),
})

/** Stages whose time is owed to the same one are one, its own evidence first; the largest leads. */
function merge(all: readonly Explained[]): Explained[] {
  return [...Map.groupBy(all, ({ stage }) => stage)]
    .map(([stage, of]) => ({
      stage,
      share: of.reduce((sum, { share }) => sum + share, 0),
      evidence: of
        .flatMap(({ evidence }) => evidence)
        .filter(({ metric }, i, every) => every.findIndex(other => other.metric === metric) === i)
        .sort((a, b) => Number(a.blames !== undefined) - Number(b.blames !== undefined)),
    }))
    .sort((a, b) => b.share - a.share)
}

/** Photos of people in a window, beside the probe's small one. */
function hasPeople(view: View): boolean {
  const uploads = view.rate('tintype_photos_total', { outcome: /^(accepted|shed)$/ }) ?? 0
  const probes = view.rate('tintype_probe_attempts_total') ?? 0
  return ((uploads - probes) * (view.toMs - view.fromMs)) / 1000 > 1
}

/** A night with the probe's small photo only says nothing of how long people's take. */
const comparable = (windows: readonly View[], now: View): readonly View[] =>
  hasPeople(now) && windows.some(hasPeople) ? windows.filter(hasPeople) : windows

/** Nothing grew: healthy when there was data to see it, and nobody was let down; else unknown. */
function atRest(
  now: View,
  windows: readonly View[],
  stages: readonly Growth[],
): Omit<Verdict, 'stages' | 'lacking' | 'since' | 'replicas'> {
  const rises = (metric: string, outcome: string) =>
    (now.rate(metric, { outcome }) ?? 0) > 0 &&
    !windows.some(each => (each.rate(metric, { outcome }) ?? 0) > 0)
  const away = now.values('up', 'job').filter(job => (now.gauge('up', { job }) ?? 0) < 0.5)
  const remarks = [
    ...(windows.length < minBaselineWindows ? ['there is no earlier time to compare with'] : []),
    ...(now.values('up', 'job').length === 0 ? ['nothing was measured'] : []),
    ...away.filter(job => job === 'web' || job === 'converter').map(job => `the metrics of ${job} are away`),
    ...(stages.every(({ now: seconds }) => seconds === null) ? ['no stage has data'] : []),
    ...(rises('tintype_promises_total', 'broken') ? ['promises break, but no stage’s time grew'] : []),
    ...(rises('tintype_probe_attempts_total', 'failure') || mostlyFails(now)
      ? ['the probe fails, but no stage’s time grew']
      : []),
  ]
  const nothing = { cause: null, evidence: [], lever: null, also: null, remarks }
  if (remarks.length > 0) return { ...nothing, verdict: 'unknown', confidence: 0 }
  if (away.length === 0) return { ...nothing, verdict: 'healthy', confidence: 1 }
  const evidence = away.map(job => ({
    metric: `up{job="${job}"}`,
    query: `up{job="${job}"}`,
    cause: 'dependency-away' as const,
    baseline: 1,
    now: 0,
    explains: 1,
  }))
  const lever = `photos are not slow, but ${away.join(', ')} is away: start it`
  return { ...nothing, verdict: 'healthy', confidence: 1, cause: 'dependency-away', evidence, lever }
}

/** Also when it did so all the time: used to it is not healthy. */
function mostlyFails(view: View): boolean {
  const ended = (outcome: string) => view.rate('tintype_probe_attempts_total', { outcome }) ?? 0
  return ended('failure') > ended('success')
}

/** Starts of the windows before now that have data, the last ones first. */
function earlierWindows(series: readonly Series[], endMs: number, length: number): number[] {
  const first = Math.min(...series.map(({ points }) => points[0]?.at ?? Number.POSITIVE_INFINITY))
  const starts: number[] = []
  for (let start = endMs - length; start >= first && starts.length < maxBaselineWindows; start -= length)
    starts.push(start)
  return starts
}

/** The first step at which a stage that grew left its baseline for good. */
function since(
  select: ReturnType<typeof index>,
  stages: readonly Growth[],
  windows: readonly View[],
  atMs: number,
  stepMs: number,
): string | null {
  const oldest = windows.at(-1)?.fromMs ?? atMs
  const starts = stages.flatMap(({ stage, growth, baseline }) => {
    if (growth === 0 || baseline === null) return []
    let start = atMs
    for (let at = atMs - stepMs; at > oldest; at -= stepMs) {
      const seconds = secondsIn(stage, view(select, at - 2 * stepMs, at))
      if (seconds !== null && seconds < baseline + growth / 4) break
      start = at
    }
    return [start]
  })
  return starts.length === 0 ? null : new Date(Math.min(...starts)).toISOString()
}
