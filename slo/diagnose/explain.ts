import { round } from '../math/standing.ts'
import type { TimeRange, Window } from './evaluate.ts'
import { numberIn, valueIn } from './expression.ts'
import { type Grown, median, secondsIn, still } from './growth.ts'
import { type Model, nameOf, type Resource, type Stage } from './model.ts'
import type { Evidence } from './verdict.ts'

/** The stage that a growth is attributed to, and what of it the resources explain, the most first. */
export type Explained = { stage: string; share: number; evidence: Weighed[] }
export type Weighed = Evidence & { action: string; blames: readonly string[] | undefined }

/** The level from which a resource counts as used up; `limit` of service.yaml overrides it. */
const usedUp = 0.95

/** The metrics of a stage’s time and of its resources: those with data in the window, and those without. */
export function dataOf({ stages, resources }: Model, name: string, now: Window) {
  const ofStage = stages.filter(each => each.name === name).map(({ seconds }) => seconds)
  const all = [
    ...ofStage.map(expression => ({ metric: nameOf(expression), expression })),
    ...resources.filter(({ stage }) => stage === name),
  ]
  const names = (of: typeof all) => [...new Set(of.map(({ metric }) => metric))]
  const had = names(all.filter(({ expression }) => valueIn(expression, now) !== undefined))
  return { had, lacked: names(all).filter(metric => !had.includes(metric)) }
}

/**
 * The resources of a grown stage that left their baseline. When the first one blames another stage, those of that one;
 * `growths` gives what each stage grew.
 */
export function explain(
  model: Model,
  grown: Grown,
  now: Window,
  growths: () => readonly Grown[],
  led: readonly string[] = [],
): Explained {
  const weighed = weighAll(model, grown, now)
  const left = weighed.reduce(
    (left, { kind, explains }) => (kind === 'taken' ? left * (1 - explains) : left),
    1,
  )
  // The wait that was measured as a part, such as the one while workers were free, does not come from more load.
  const queues = model.stages.some(({ name, queues }) => name === grown.stage && queues)
  const measured = Math.max(0, ...weighed.map(({ kind, explains }) => (kind === 'part' ? explains : 0)))
  const factors = queues ? 1 - measured : 1
  const share = { part: left, factor: factors, taken: 1, exhausted: 1 }
  const evidence = weighed
    .map(each => ({ ...each, explains: round(each.explains * share[each.kind], 2) }))
    .filter(({ explains }) => explains > 0)
    .sort((a, b) => b.explains - a.explains || b.raw - a.raw)
    .map(({ kind: _, raw: __, ...each }) => each)
  const [best] = evidence
  const own = { stage: grown.stage, share: grown.share, evidence }
  if (!best?.blames || best.explains < enough || led.includes(grown.stage)) return own
  const [blamed] = growths()
    .filter(({ stage }) => best.blames?.includes(stage))
    .toSorted((a, b) => b.growth - a.growth)
  if (!blamed) return own
  // Its growth, also where that is within the usual spread.
  const least = Math.max(0, (blamed.now ?? 0) - (blamed.baseline ?? 0))
  const there = blamed.growth > 0 ? blamed : { ...blamed, growth: least, before: grown.before }
  const found = explain(model, there, now, growths, [...led, grown.stage])
  if (blamed.growth === 0 && !named(found)) return own
  // What left its baseline here explains this stage, not the blamed one: it is shown there and does not name the cause.
  const here = evidence.map(each => ({ ...each, blames: each.blames ?? [] }))
  return { stage: found.stage, share: grown.share, evidence: [...found.evidence, ...here] }
}

export type WindowGrowth = { window: Window; grown: readonly Grown[] }
export const isSlow = ({ growth }: Grown): boolean => growth > 0

/** What each slow stage is attributed to; the largest is first. */
export const explainAll = (model: Model, { window, grown }: WindowGrowth): Explained[] =>
  merge(grown.filter(isSlow).map(each => explain(model, each, window, () => grown)))

/** Joins stages whose growth is attributed to the same one, its own evidence first; the largest is first. */
function merge(all: readonly Explained[]): Explained[] {
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

/** The resources at their limit, of any stage: what needs no baseline to be named. */
export const atLimit = (
  model: Model,
  now: Window,
  before: readonly Window[],
): (Weighed & { stage: string })[] =>
  model.stages.flatMap(({ name: stage }) =>
    weighAll(model, still(stage, before), now)
      .filter(({ kind, explains, blames }) => kind === 'exhausted' && explains === 1 && !blames)
      .map(({ kind: _, raw: __, ...each }) => ({ ...each, stage })),
  )

function weighAll(model: Model, grown: Grown, now: Window) {
  const spans = grown.before
  const [stage] = model.stages.filter(({ name }) => name === grown.stage)
  const [compared, before] = [against(now, spans), grown.before.map(window => against(window, spans))]
  return model.resources
    .filter(resource => resource.stage === grown.stage)
    .flatMap(resource => weigh(resource, stage as Stage, grown, compared, before) ?? [])
}

/** The window with another baseline. Values that do not depend on the baseline stay known. */
function against(window: Window, baseline: readonly TimeRange[]): Window {
  const known = [...window.known].filter(([text]) => !text.includes('$b'))
  return { ...window, baseline, known: new Map(known) }
}

function weigh(resource: Resource, stage: Stage, grown: Grown, now: Window, before: readonly Window[]) {
  const { kind, cause, action, blames, expression, metric, query } = resource
  const current = numberIn(expression, now)
  if (current === null) return undefined
  // An operation without calls in a window took 0 s of it while the stage did its work; a missing metric is unknown.
  const absent = (window: Window) =>
    kind === 'part' && valueIn(expression, window) !== undefined && secondsIn(stage, window, 0) !== null
      ? 0
      : null
  const known = before
    .map(window => numberIn(expression, window) ?? absent(window))
    .filter(each => each !== null)
  const baseline = known.length === 0 ? null : median(known)
  const raw = explained(resource, stage, grown, baseline, current)
  return {
    kind,
    raw: kind === 'exhausted' ? raw * Number.MAX_VALUE : raw,
    metric,
    query,
    cause,
    baseline,
    now: current,
    explains: clamp(raw),
    action,
    blames,
  }
}

/** The part of the growth that a resource explains; above 1 when it grew more than needed, below 0 when it fell. */
function explained(
  { kind, limit = usedUp }: Resource,
  { queues }: Stage,
  grown: Grown,
  baseline: number | null,
  now: number,
): number {
  if (kind === 'exhausted') return now >= limit && leftOf(baseline, limit, now) ? 1 : 0
  if (kind === 'part') return grown.growth > 0 ? (now - (baseline ?? 0)) / grown.growth : 0
  if (baseline === null) return 0
  if (kind === 'taken') return now - baseline
  // A queue grows without bound when the load passes what its workers can do; what doubled the load explains that.
  const growth = Math.log((grown.now ?? 0) / Math.max(grown.baseline ?? 0, 1e-6))
  const asked = Math.min(growth, queues ? Math.log(2) : Number.POSITIVE_INFINITY)
  return now > baseline && baseline > 0 && growth > 0 ? Math.log(now / baseline) / asked : 0
}

/** A level that was over its limit before, too, does harm only when at least half of what was left is gone. */
const leftOf = (baseline: number | null, limit: number, now: number): boolean =>
  baseline === null || baseline < limit || (baseline < 1 && now - baseline >= (1 - baseline) / 2)

/** The least part of a stage’s growth that a cause must explain to be named. */
export const enough = 0.5

/** The resource of the stage itself that explains most, when it explains enough. */
export function named({ evidence }: Pick<Explained, 'evidence'>): Weighed | undefined {
  const best = evidence.find(({ blames }) => blames === undefined)
  return best && best.explains >= enough ? best : undefined
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value))
