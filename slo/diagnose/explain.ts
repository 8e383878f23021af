import { resources } from '../tintype/resources/all.ts'
import type { Cause, Resource } from './resource.ts'
import type { Signal } from './signals.ts'
import { attribute, type Diagnosed, type Growth, median, readings, secondsOf } from './stages.ts'
import type { View } from './view.ts'

export type Evidence = {
  metric: string
  /** PromQL that gives `now`; with `offset` what was before. */
  query: string
  cause: Cause
  baseline: number | null
  now: number
  /** 0 to 1, of the stage's growth. */
  explains: number
}

/** A stage that grew, as the one to which its time is owed, and what of it the resources explain, the most first. */
export type Explained = { stage: Diagnosed; share: number; evidence: Weighed[] }
export type Weighed = Evidence & { lever: string; blames?: readonly Diagnosed[] }

/** From here a resource counts as used up, when it was not before. */
const usedUp = 0.95

export const signalOf = ({ signal }: Resource, before: readonly View[]): Signal =>
  typeof signal === 'function' ? signal(before) : signal

/** What a stage had to look at, and what it lacked: the metrics of its time and of its resources. */
export function dataOf(stage: Diagnosed, now: View, before: readonly View[]) {
  const all = [
    ...readings.filter(each => each.stage === stage).map(({ seconds }) => seconds),
    ...resources.filter(each => each.stage === stage).map(each => signalOf(each, before)),
  ]
  const names = (has: boolean) => [
    ...new Set(all.filter(({ seen }) => seen(now) === has).map(({ metric }) => metric)),
  ]
  return { had: names(true), lacked: names(false) }
}

/** Which resources of a grown stage left their baseline; one that blames another stage leads there. */
export function explain(grown: Growth, now: View, before: readonly View[]): Explained {
  const weighed = resources
    .filter(({ stage }) => stage === grown.stage)
    .flatMap(resource => weigh(resource, grown, now, before) ?? [])
  const left = weighed.reduce(
    (left, { kind, explains }) => (kind === 'taken' ? left * (1 - explains) : left),
    1,
  )
  const evidence = weighed
    .map(each => ({ ...each, explains: round(each.kind === 'part' ? each.explains * left : each.explains) }))
    .filter(({ explains }) => explains > 0)
    .sort((a, b) => b.explains - a.explains || b.raw - a.raw)
    .map(({ kind: _, raw: __, ...each }) => each)
  const [best] = evidence
  if (!best?.blames) return { stage: grown.stage, share: grown.share, evidence }
  const growths = attribute(before, now).filter(({ stage }) => best.blames?.includes(stage))
  const blamed = growths.toSorted((a, b) => b.growth - a.growth)[0] as Growth
  const there = blamed.growth > 0 ? blamed : { ...blamed, growth: unfloored(blamed) }
  const found = explain(there, now, before)
  return { stage: found.stage, share: grown.share, evidence: [...found.evidence, ...evidence] }
}

/** What it grew by, also within what is usual. */
const unfloored = ({ baseline, now }: Growth): number => Math.max(0, (now ?? 0) - (baseline ?? 0))

function weigh(resource: Resource, grown: Growth, now: View, before: readonly View[]) {
  const { kind, cause, lever, blames } = resource
  const { metric, query, value, seen } = signalOf(resource, before)
  const current = value(now)
  if (current === null) return undefined
  // A part that did not happen while its stage did took no time of it; one that was not measured is not known.
  const absent = (window: View) =>
    kind === 'part' && seen(window) && secondsIn(grown.stage, window) !== null ? 0 : null
  const known = before.map(window => value(window) ?? absent(window)).filter(each => each !== null)
  const baseline = known.length === 0 ? null : median(known)
  const raw = explained(resource, grown, baseline, current)
  return {
    kind,
    raw: kind === 'exhausted' ? raw * Number.MAX_VALUE : raw,
    ...{ metric, query, cause, baseline, now: current, explains: clamp(raw), lever },
    ...(blames && { blames }),
  }
}

/** How many times what is needed to explain the growth; below 0 when it went the other way. */
function explained(
  { kind, limit = usedUp }: Resource,
  grown: Growth,
  baseline: number | null,
  now: number,
): number {
  if (kind === 'exhausted') return now >= limit && (baseline ?? 0) < limit ? 1 : 0
  if (kind === 'part') return grown.growth > 0 ? (now - (baseline ?? 0)) / grown.growth : 0
  if (baseline === null) return 0
  if (kind === 'taken') return now - baseline
  const growth = Math.log((grown.now ?? 0) / Math.max(grown.baseline ?? 0, 1e-6))
  return now > baseline && baseline > 0 && growth > 0
    ? Math.log(now / baseline) / Math.min(growth, utilisationGrowth(grown))
    : 0
}

/**
 * Waiting grows without bound when the load passes what the slots can do: its logarithm says nothing then. What doubled the load
 * explains it, hence at most a doubling is asked of a factor of `wait`.
 */
const utilisationGrowth = ({ stage }: Growth): number =>
  stage === 'wait' ? Math.log(2) : Number.POSITIVE_INFINITY

/** The names of every metric that is read. */
export const metricsOfResources = (): string[] => resources.flatMap(resource => signalOf(resource, []).reads)

/** Seconds of a stage in a window. */
export const secondsIn = (stage: Diagnosed, view: View): number | null => {
  const reading = readings.find(each => each.stage === stage)
  return reading ? secondsOf(reading, view) : null
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value))
export const round = (value: number): number => Math.round(value * 100) / 100
