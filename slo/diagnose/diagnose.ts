import { resources } from './resources/all.ts'
import type { Cause, Resource } from './resources/resource.ts'
import { attribute, type Diagnosed, type Growth, median, readings } from './stages.ts'
import { index, type Series, type View, view } from './view.ts'

export type Evidence = {
  metric: string
  cause: Cause
  baseline: number | null
  now: number /** 0 to 1, of the stage's growth. */
  explains: number
}

export type Verdict = {
  verdict: Diagnosed | 'healthy' | 'unknown'
  cause: Cause | null
  /** 0 to 1: the stage's share of the growth × what its cause explains of it. */
  confidence: number
  since: string | null
  evidence: Evidence[]
  lever: string | null
  /** The second largest, when two things are slow at once. */
  also: { stage: Diagnosed; share: number } | null
  stages: Growth[]
  /** Metrics that would have told more and were not there. */
  lacking: string[]
}

/** How long now is, in scrapes; short enough to see an incident's start, long enough for a mean. */
const nowSteps = 12
/** How many windows of that length the baseline has at most, and without which there is none. */
const maxBaselineWindows = 30
const minBaselineWindows = 3
/** How much must be read for one verdict. */
export const baselineSteps = nowSteps * (maxBaselineWindows + 1)
/** A cause that explains less than half is no name. */
const named = 0.5
/** From here a resource counts as used up, when it was not before. */
const usedUp = 0.95
/** Poison, hung slots and idle slots do harm long before all are. */
const usedUpShares: Partial<Record<Cause, number>> = {
  poison: 0.2,
  memory: 0.2,
  'queue-stalled': 0.5,
  'no-workers': 0.5,
}

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
  const lacking = readings.filter(({ seconds }) => seconds(now) === null).flatMap(({ metrics }) => metrics)
  const stages = attribute(windows, now)
  const common = {
    stages,
    lacking: [...new Set(lacking)],
    since: since(select, stages, windows, atMs, stepMs),
  }
  const sorted = stages.filter(({ growth }) => growth > 0).sort((a, b) => b.growth - a.growth)
  const [first, second] = sorted
  if (!first) return { ...common, ...atRest(now, windows, stages) }

  const { stage, evidence } = explain(first, now, windows)
  const [best] = evidence
  const sure = best !== undefined && best.explains >= named
  return {
    ...common,
    verdict: stage,
    cause: sure ? best.cause : null,
    confidence: sure ? round(first.share * best.explains) : round(first.share * 0.5),
    evidence: evidence.slice(0, 5),
    lever: sure ? (leverOf(stage, best) ?? null) : null,
    also: second ? { stage: second.stage, share: round(second.share) } : null,
  }
}

/** Nothing grew: healthy when there was data to see it, else unknown. */
function atRest(
  now: View,
  windows: readonly View[],
  stages: readonly Growth[],
): Omit<Verdict, 'stages' | 'lacking' | 'since'> {
  const away = now.values('up', 'job').filter(job => (now.gauge('up', { job }) ?? 0) < 0.5)
  const blind = away.some(job => job === 'web' || job === 'converter')
  const seen = windows.length >= minBaselineWindows && now.values('up', 'job').length > 0
  const nothing = { confidence: seen && !blind ? 1 : 0, evidence: [], lever: null, also: null }
  if (!seen || blind || stages.every(({ now: seconds }) => seconds === null))
    return { ...nothing, verdict: 'unknown', cause: null }
  if (away.length > 0) {
    const evidence = away.map(job => ({
      metric: `up{job="${job}"}`,
      cause: 'dependency-away' as const,
      baseline: 1,
      now: 0,
      explains: 1,
    }))
    return {
      ...nothing,
      verdict: 'healthy',
      cause: 'dependency-away',
      evidence,
      lever: `photos are not slow, but ${away.join(', ')} is away: start it`,
    }
  }
  return { ...nothing, verdict: 'healthy', cause: null }
}

/** The resources of the stage, the one that explains most first; a factor that blames another stage leads there. */
function explain(
  grown: Growth,
  now: View,
  windows: readonly View[],
): { stage: Diagnosed; evidence: Evidence[] } {
  const weighed = resources
    .filter(({ stage }) => stage === grown.stage)
    .flatMap(resource => weigh(resource, grown, now, windows) ?? [])
    .sort((a, b) => b.evidence.explains - a.evidence.explains)
  const blamed = weighed[0]?.resource.blames
  if (blamed) return { ...explain(growthOf(blamed, now, windows), now, windows), stage: blamed }
  return {
    stage: grown.stage,
    evidence: weighed.map(({ evidence }) => evidence).filter(({ explains }) => explains > 0),
  }
}

function growthOf(stage: Diagnosed, now: View, windows: readonly View[]): Growth {
  const reading = readings.find(each => each.stage === stage)
  const before = windows.map(window => reading?.seconds(window) ?? null).filter(value => value !== null)
  const [baseline, current] = [before.length ? median(before) : null, reading?.seconds(now) ?? null]
  return { stage, baseline, now: current, growth: Math.max(0, (current ?? 0) - (baseline ?? 0)), share: 1 }
}

function weigh(
  resource: Resource,
  grown: Growth,
  now: View,
  windows: readonly View[],
): { resource: Resource; evidence: Evidence } | undefined {
  const current = resource.value(now)
  if (current === null) return undefined
  const before = windows.map(resource.value).filter(value => value !== null)
  const baseline = before.length === 0 ? null : median(before)
  const explains = round(explained(resource, grown, baseline, current))
  return {
    resource,
    evidence: { metric: resource.metric, cause: resource.cause, baseline, now: current, explains },
  }
}

function explained({ kind, cause }: Resource, grown: Growth, baseline: number | null, now: number): number {
  if (kind === 'exhausted') {
    const limit = usedUpShares[cause] ?? usedUp
    return now >= limit && (baseline ?? 0) < limit ? 1 : 0
  }
  if (baseline === null) return 0
  if (kind === 'part') return clamp((now - baseline) / grown.growth)
  const growth = Math.log((grown.now ?? 0) / Math.max(grown.baseline ?? 0, 1e-6))
  return now > baseline && baseline > 0 && growth > 0
    ? clamp(Math.log(now / baseline) / Math.min(growth, utilisationGrowth(grown)))
    : 0
}

/**
 * Waiting grows without bound when the load passes what the slots can do: its logarithm says nothing then. What doubled the load
 * explains it, hence at most a doubling is asked of a factor of `wait`.
 */
const utilisationGrowth = ({ stage }: Growth): number =>
  stage === 'wait' ? Math.log(2) : Number.POSITIVE_INFINITY

const leverOf = (stage: Diagnosed, { cause, metric }: Evidence) =>
  resources.find(each => each.stage === stage && each.cause === cause && each.metric === metric)?.lever

/** Starts of the windows before now that have data, the last ones first. */
function earlierWindows(series: readonly Series[], endMs: number, length: number): number[] {
  const first = Math.min(...series.map(({ points }) => points[0]?.at ?? Number.POSITIVE_INFINITY))
  const starts: number[] = []
  for (let start = endMs - length; start >= first && starts.length < maxBaselineWindows; start -= length)
    starts.push(start)
  return starts
}

/** The first step at which the slowest stage left its baseline for good. */
function since(
  select: ReturnType<typeof index>,
  stages: readonly Growth[],
  windows: readonly View[],
  atMs: number,
  stepMs: number,
): string | null {
  const worst = [...stages].sort((a, b) => b.growth - a.growth)[0]
  const reading = readings.find(({ stage }) => stage === worst?.stage)
  if (!worst || !reading || worst.growth === 0 || worst.baseline === null) return null
  const limit = worst.baseline + worst.growth / 4
  const oldest = windows.at(-1)?.fromMs ?? atMs
  let start = atMs
  for (let at = atMs - stepMs; at > oldest; at -= stepMs) {
    const seconds = reading.seconds(view(select, at - 2 * stepMs, at))
    if (seconds !== null && seconds < limit) break
    start = at
  }
  return new Date(start).toISOString()
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value))
const round = (value: number): number => Math.round(value * 100) / 100
