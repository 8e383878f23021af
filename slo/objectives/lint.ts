import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { maxShortMinutes, minimumShortSlots, planTiers, type TierPlan } from '../math/burn-rate.ts'
import { allowedBad, complement, toNumber } from '../math/fraction.ts'
import { round } from '../math/standing.ts'
import { toDuration } from '../math/time.ts'
import { inGroups } from '../sources/groups.ts'
import { type Objective, ruleLabels, type Tier } from '../sources/index.ts'
import { gainsLabel, losesLabel } from '../sources/promql.ts'
import { type Document, type Finding, found, type Path, valueAt } from './document.ts'
import { lintKept, lintSli, type Reading } from './lint-metrics.ts'
import type { parseFiles } from './objectives.ts'
import { annotation, objectivePath, queriesOf, rollingPath } from './openslo.ts'

const policies: Path = ['spec', 'alertPolicies', 0]

/** Faults of a document that its shape allows. */
export function lint(document: Document, objectives: readonly Objective[], reading: Reading): Finding[] {
  const [first] = objectives
  if (!first) return []
  return [
    ...lintSli(document, inGroups(first), reading),
    ...lintGroup(document, first),
    ...(valueAt(document, policies) ? [found(document, policies.slice(0, -1), 'own-alerts')] : []),
    ...objectives.flatMap((objective, index) => [
      ...lintTarget(document, objective, index),
      ...objective.tiers.flatMap(tier => lintTier(document, objective, tier, index)),
    ]),
    ...lintTraffic(document, first),
    ...lintWindow(document, first, reading),
  ]
}

/** Faults of a directory's objectives together. */
export function lintTogether(files: ReturnType<typeof parseFiles>): Finding[] {
  const all = files.flatMap(({ document, objectives }) =>
    objectives.map(({ method }) => ({ document, method })),
  )
  const [first] = all.some(({ method }) => method === 'Timeslices') ? [] : all
  return first ? [found(first.document, ['spec', 'budgetingMethod'], 'only-events')] : []
}

/** Objectives whose alerts would link to a page that does not exist. `folders`: of the runbooks that slo serves. */
export const lintRunbooks = (files: ReturnType<typeof parseFiles>, folders: readonly string[]): Finding[] =>
  files.flatMap(({ document, objectives: [objective] }) => {
    const { runbook = '' } = objective ?? {}
    const [, name] = /^docs\/runbooks\/([^/?#]+)([?#]|$)/.exec(runbook) ?? []
    const isServed = name ? folders.some(each => existsSync(join(each, name))) : /^https?:/.test(runbook)
    return !objective || isServed ? [] : [found(document, annotation('runbook'), 'no-runbook', { runbook })]
  })

function lintGroup(document: Document, { groupBy, sli }: Objective): Finding[] {
  if (groupBy === null) return []
  const at = (rule: string) => found(document, annotation('group-by'), rule, { label: groupBy })
  const computed = queriesOf(sli).flatMap(([, { selector, promql }]) => (selector ? [] : promql))
  return [
    ...(ruleLabels.includes(groupBy) ? [at('own-label')] : []),
    ...(computed.some(promql => losesLabel(promql, groupBy)) ? [at('lost-label')] : []),
    ...(computed.some(promql => gainsLabel(promql, groupBy)) ? [at('gained-label')] : []),
  ]
}

function lintTarget(document: Document, objective: Objective, index: number): Finding[] {
  const { method, target, windowMinutes, calendar } = objective
  if (method !== 'Timeslices') return []
  const path = objectivePath(index, 'target')
  const budget = allowedBad(target, windowMinutes)
  if (budget < 1) return [found(document, path, 'no-budget', { budget: round(budget, 3) })]
  // Months differ in length, so that no target gives whole minutes in each.
  if (Number.isInteger(budget) || calendar) return []
  const whole = Math.round(budget)
  const exact = (windowMinutes - whole) / windowMinutes
  return [found(document, path, 'inexact-target', { budget: round(budget, 4), exact, whole })]
}

function lintWindow(document: Document, objective: Objective, reading: Reading): Finding[] {
  const keepDays = (reading.source === 'recorder' && reading.keepDays) || Infinity
  const short = lintKept(document, objective, keepDays, 'window-not-kept')
  return objective.calendar ? [found(document, rollingPath, 'calendar-in-rules'), ...short] : short
}

function lintTier(document: Document, objective: Objective, tier: Tier, index: number): Finding[] {
  const { target, windowMinutes, method } = objective
  const { longMinutes, shortMinutes, factor, share, minimumBad: minimum } = tier
  const most = 1 / toNumber(complement(target))
  const wrong: Record<string, boolean> = {
    'factor-unreachable': factor >= most - Number.EPSILON,
    'minimum-unreachable': method === 'Timeslices' && minimum > longMinutes,
    'share-over-one': toNumber(share) > 1,
    'long-window': longMinutes >= windowMinutes,
    'short-window': shortMinutes < minimumShortSlots || shortMinutes >= longMinutes,
    'slow-to-clear': shortMinutes > maxShortMinutes,
  }
  const values = {
    tier: `${tier.name} ${toDuration(longMinutes)}/${toDuration(shortMinutes)}`,
    minimum,
    longMinutes,
    factor: round(factor, 3),
    most: round(most, 3),
    reachable: reachable(objective, objective.tiers) || reachable(objective, planTiers(windowMinutes)),
    share: round(toNumber(share) * 100, 1),
    window: toDuration(windowMinutes),
    twelfth: toDuration(Math.max(minimumShortSlots, Math.round(longMinutes / 12))),
    clears: toDuration(2 * shortMinutes),
    longest: toDuration(maxShortMinutes),
  }
  const isWritten = valueAt(document, annotation('tiers')) !== undefined
  const ofTier = isWritten ? annotation('tiers') : objectivePath(index, 'target')
  const pathOf = (rule: string) => (rule === 'minimum-unreachable' ? annotation('minimum-bad') : ofTier)
  return Object.keys(wrong)
    .filter(rule => wrong[rule])
    .map(rule => found(document, pathOf(rule), rule, values))
}

/** Tiers as slo/tiers has them, with shares that a burn of everything reaches. Some of the usual ones always have one. */
function reachable({ target, windowMinutes }: Objective, tiers: readonly TierPlan[]): string {
  const { numerator, denominator } = complement(target)
  const written = tiers.flatMap(({ name, longMinutes, shortMinutes, share }) => {
    const below = Math.ceil((100 * longMinutes * denominator) / (windowMinutes * numerator)) - 1
    const percent = Math.min(below, Math.round(toNumber(share) * 100))
    return percent < 1 ? [] : `${name} ${toDuration(longMinutes)}/${toDuration(shortMinutes)} ${percent}%`
  })
  return written.join(', ')
}

/** Finds tiers that, with the expected traffic, depend on the minimum of bad events and not on their factor. */
function lintTraffic(document: Document, { tiers, method }: Objective): Finding[] {
  const path = annotation('events-per-day')
  const perDay = valueAt(document, path)
  if (perDay === undefined || method !== 'Occurrences') return []
  return tiers.flatMap(({ name: tier, longMinutes, threshold, minimumBad: minimum }) => {
    const events = (Number(perDay) * longMinutes) / 1440
    const needed = Math.ceil(
      (Number(perDay) * longMinutes * threshold.numerator) / (1440 * threshold.denominator),
    )
    if (needed >= minimum) return []
    const values = { tier, long: toDuration(longMinutes), events: round(events, 1), minimum }
    return [found(document, path, 'too-few-events', { ...values, needed: Math.max(1, needed) })]
  })
}
