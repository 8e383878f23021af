import { round } from '../math/standing.ts'
import type { Window } from './evaluate.ts'
import { numberIn, valueIn } from './expression.ts'
import { type Grown, median, recent, secondsIn, still } from './growth.ts'
import { type Model, nameOf, type Resource } from './model.ts'

/** The stage to which a growth is attributed, and how much of it each resource explains, the most first. */
export type Explained = { stage: string; share: number; evidence: Weighed[] }
export type Weighed = NonNullable<ReturnType<typeof weigh>>

/** The level at which a resource counts as exhausted. `limit` of service.yaml overrides it. */
const usedUp = 0.95

/** The metrics of a stage's time and resources: those with data in the window, and those without. */
export function dataOf({ stages, resources }: Model, name: string, now: Window) {
  const all = [
    ...stages.filter(each => each.name === name).map(({ seconds: query }) => ({ query })),
    ...resources.filter(({ stage }) => stage === name),
  ]
  const names = (of: typeof all) => [...new Set(of.map(nameOf))]
  const had = names(all.filter(({ query }) => valueIn(query, now) !== undefined))
  return { had, lacked: names(all).filter(metric => !had.includes(metric)) }
}

export type WindowGrowth = { window: Window; grown: readonly Grown[] }

/** A grown stage's resources that left their baseline. If the first one blames another stage, those of that stage. */
export function explain(model: Model, grown: Grown, now: WindowGrowth, visited: string[] = []): Explained {
  const weighed = weighAll(model, grown, now.window)
  const left = weighed.reduce(
    (left, { kind, explains }) => (kind === 'taken' ? left * (1 - explains) : left),
    1,
  )
  // More load does not explain the wait that is measured as a part, such as the wait while workers were free.
  const measured = Math.max(0, ...weighed.map(({ kind, explains }) => (kind === 'part' ? explains : 0)))
  const share = { part: left, factor: grown.of.queues ? 1 - measured : 1, taken: 1, exhausted: 1 }
  const evidence = weighed
    .map(each => ({ ...each, explains: round(each.explains * share[each.kind], 2) }))
    .filter(({ explains }) => explains > 0)
    .sort((a, b) => b.explains - a.explains || b.raw - a.raw)
  const [best] = evidence
  const own = { stage: grown.stage, share: grown.share, evidence }
  if (!best?.blames || best.explains < leastExplained || visited.includes(grown.stage)) return own
  // The blamed stage's growth, even if it is within the usual spread.
  const grew = (each: Grown) => each.growth || Math.max(0, (each.now ?? 0) - (each.baseline ?? 0))
  const [blamed] = now.grown
    .filter(({ stage }) => best.blames?.includes(stage))
    .toSorted((a, b) => grew(b) - grew(a))
  if (!blamed) return own
  const there = blamed.growth > 0 ? blamed : { ...blamed, growth: grew(blamed), before: grown.before }
  const found = explain(model, there, now, [...visited, grown.stage])
  if (blamed.growth === 0 && !named(found)) return own
  // The resources of this stage do not explain the blamed one: they are shown, but do not name the cause.
  const here = evidence.map(each => ({ ...each, blames: each.blames ?? [] }))
  return { stage: found.stage, share: grown.share, evidence: [...found.evidence, ...here] }
}

export const isSlow = ({ growth }: Grown): boolean => growth > 0

/** The stages to which slow stages are attributed, the largest first. */
export function explainAll(model: Model, now: WindowGrowth): Explained[] {
  const all = now.grown.filter(isSlow).map(each => explain(model, each, now))
  // When several stages are attributed to one stage, that stage's own evidence comes first.
  return [...Map.groupBy(all, ({ stage }) => stage)]
    .map(([stage, of]) => ({
      stage,
      share: of.reduce((sum, { share }) => sum + share, 0),
      evidence: of
        .flatMap(({ evidence }) => evidence)
        .sort((a, b) => Number(a.blames !== undefined) - Number(b.blames !== undefined)),
    }))
    .sort((a, b) => b.share - a.share)
}

/** The resources at their limit up to now, of any stage. They need no baseline. */
export const atLimit = (model: Model, now: Window, before: readonly Window[]): Weighed[] =>
  model.stages.flatMap(stage =>
    weighAll(model, still(stage, before), now).filter(
      ({ kind, explains, blames, limit = usedUp, query }) =>
        kind === 'exhausted' && explains === 1 && !blames && (numberIn(query, recent(now)) ?? limit) >= limit,
    ),
  )

function weighAll(model: Model, grown: Grown, now: Window) {
  // Computed values that do not depend on the baseline are kept.
  const against = (window: Window) => ({ ...window, baseline: grown.before, knownAgainst: new Map() })
  const [compared, ...before] = [now, ...grown.before].map(against)
  return model.resources
    .filter(resource => resource.stage === grown.stage)
    .flatMap(resource => weigh(resource, grown, compared as Window, before) ?? [])
}

function weigh(resource: Resource, grown: Grown, now: Window, before: readonly Window[]) {
  const { kind, query } = resource
  const current = numberIn(query, now)
  if (current === null) return undefined
  // An operation without calls counts as 0 s in a window with work. A missing metric is unknown.
  const absent = (window: Window) =>
    kind === 'part' && valueIn(query, window) !== undefined && secondsIn(grown.of, window, 0) !== null
      ? 0
      : null
  const known = before.map(window => numberIn(query, window) ?? absent(window)).filter(each => each !== null)
  const baseline = known.length === 0 ? null : median(known)
  const share = explained(resource, grown, baseline, current)
  const raw = kind === 'exhausted' ? share * Number.MAX_VALUE : share
  const explains = Math.min(1, Math.max(0, share))
  return { ...resource, metric: nameOf(resource), raw, baseline, now: current, explains }
}

/** The share of the growth that a resource explains; above 1 when it grew more than the stage, below 0 when it fell. */
function explained({ kind, limit = usedUp }: Resource, grown: Grown, baseline: number | null, now: number) {
  if (kind === 'exhausted') return now >= limit && leftOf(baseline, limit, now) ? 1 : 0
  if (kind === 'part') return grown.growth > 0 ? (now - (baseline ?? 0)) / grown.growth : 0
  if (baseline === null) return 0
  // Of the time that was left to the process before.
  if (kind === 'taken') return baseline < 1 ? (now - baseline) / (1 - baseline) : 0
  // A queue grows without bound when the load exceeds what its workers can do, so twice the load explains all of it.
  const growth = Math.log((grown.now ?? 0) / Math.max(grown.baseline ?? 0, 1e-6))
  const asked = Math.min(growth, grown.of.queues ? Math.log(2) : Infinity)
  return now > baseline && baseline > 0 && growth > 0 ? Math.log(now / baseline) / asked : 0
}

/** A level that was already over its limit counts only when at least half of the rest is used up as well. */
const leftOf = (baseline: number | null, limit: number, now: number): boolean =>
  baseline === null || baseline < limit || (baseline < 1 && now - baseline >= (1 - baseline) / 2)

/** The least share of a stage's growth that a cause must explain to be named. */
export const leastExplained = 0.5

/** The stage's own resource that explains most of the growth, if it explains enough. */
export function named({ evidence }: Pick<Explained, 'evidence'>): Weighed | undefined {
  const best = evidence.find(({ blames }) => blames === undefined)
  return best && best.explains >= leastExplained ? best : undefined
}
