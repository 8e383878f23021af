import { maxShortMinutes, minimumShortSlots } from '../math/burn-rate.ts'
import { complement, multiply, toNumber } from '../math/fraction.ts'
import { round } from '../math/standing.ts'
import { toDuration } from '../math/time.ts'
import { longestWindowMinutes } from '../math/window.ts'
import type { Objective, Tier } from '../sources/index.ts'
import type { Document, Finding } from './document.ts'
import { type Catalogue, lintSli } from './lint-metrics.ts'
import { annotation, countObjectives, objectivePath, windowKey, windowPath } from './openslo.ts'

export type Reading = {
  source: 'recorder' | 'prometheus'
  /** How long the embedded recorder keeps minutes; 0 is for ever. */
  keepDays: number
  /** The metrics that the service exposes; undefined when that is not known. */
  catalogue?: Catalogue | undefined
}

/** What is allowed by the shape and wrong all the same: each finding with its place and the fix. */
export function lint(document: Document, objectives: readonly Objective[], reading: Reading): Finding[] {
  const [first] = objectives
  if (!first) return []
  return [
    ...lintSli(document, first.sli, reading),
    ...lintNames(document),
    ...lintGroup(document, first),
    ...objectives.flatMap((objective, index) => [
      ...lintTarget(document, objective, index),
      ...objective.tiers.flatMap(tier => lintTier(document, objective, tier, index)),
    ]),
    ...lintTraffic(document, first),
    ...lintWindow(document, first, reading),
  ]
}

/** What the generated rules and alerts are labelled with themselves. */
const ownLabels = ['objective', 'service', 'tier', 'severity', 'alertname']

function lintGroup(document: Document, { groupBy }: Objective): Finding[] {
  if (groupBy === null || !ownLabels.includes(groupBy)) return []
  const message = `the rules use the label ${groupBy} themselves`
  const fix = `group by another label; relabel ${groupBy} when it is scraped`
  return [document.finding(annotation('group-by'), 'own-label', message, fix)]
}

function lintNames(document: Document): Finding[] {
  const count = countObjectives(document)
  if (count === 1) return []
  return Array.from({ length: count }, (_, index) => objectivePath(index, 'displayName')).flatMap(
    (path, index) =>
      document.get(path) === undefined
        ? [
            document.finding(
              path,
              'name-by-order',
              `the name of this objective ends in its place, ${index + 1}`,
              'give it a displayName, so that its name does not change with the order',
              'warning',
            ),
          ]
        : [],
  )
}

function lintTarget(
  document: Document,
  { method, target, windowMinutes, calendar }: Objective,
  index: number,
): Finding[] {
  if (method !== 'Timeslices') return []
  const path = objectivePath(index, 'target')
  const { numerator, denominator } = complement(target)
  const budget = (windowMinutes * numerator) / denominator
  if (budget < 1)
    return [
      document.finding(
        path,
        'no-budget',
        `the budget is ${round(budget, 3)} minutes: a single bad one breaks the objective`,
        'lower the target, or lengthen the window',
      ),
    ]
  // Months have no one length.
  if (Number.isInteger(budget) || calendar) return []
  const exact = (windowMinutes - Math.round(budget)) / windowMinutes
  return [
    document.finding(
      path,
      'inexact-target',
      `the budget is ${round(budget, 4)} minutes, and minutes are whole`,
      `${exact} gives ${Math.round(budget)}`,
      'warning',
    ),
  ]
}

function lintWindow(document: Document, objective: Objective, reading: Reading): Finding[] {
  const inRules = objective.calendar
    ? [
        document.finding(
          windowKey('isRolling'),
          'calendar-in-rules',
          'a file of Prometheus rules has no calendar window: it records no budget for this objective, and its burn alerts are those of a rolling window of the same length',
          'read the budget in slo report or slo serve',
          'warning',
        ),
      ]
    : []
  const keepDays = reading.source === 'recorder' ? reading.keepDays : 0
  const needed = Math.ceil(longestWindowMinutes(objective) / 1440)
  if (keepDays === 0 || needed <= keepDays) return inRules
  const message = `the window is ${toDuration(objective.windowMinutes)}, and the recorder keeps minutes for ${keepDays} days`
  const fix = `KEEP_METRICS_DAYS=${needed} or more, or a shorter window`
  return [...inRules, document.finding(windowPath, 'window-not-kept', message, fix)]
}

function lintTier(document: Document, objective: Objective, tier: Tier, index: number): Finding[] {
  const { target, windowMinutes } = objective
  const { longMinutes, shortMinutes, factor } = tier
  const written = document.get(annotation('tiers')) !== undefined
  const path = written ? annotation('tiers') : objectivePath(index, 'target')
  const windows = `${toDuration(longMinutes)}/${toDuration(shortMinutes)}`
  const most = 1 / toNumber(complement(target))
  const finding = (rule: string, wrong: boolean, message: string, fix: string, severity?: 'warning') =>
    wrong ? [document.finding(path, rule, `${tier.name} ${windows}: ${message}`, fix, severity)] : []
  return [
    ...finding(
      'factor-unreachable',
      factor >= most - Number.EPSILON,
      `factor ${round(factor, 3)} is not below ${round(most, 3)}, which is everything bad: it never fires in time`,
      `a longer window or a smaller share; at most ${Math.floor((100 * longMinutes * most) / windowMinutes)} % of the budget`,
    ),
    ...finding(
      'share-over-one',
      toNumber(tier.share) > 1,
      `it fires after ${round(toNumber(tier.share) * 100, 1)} % of the budget is gone`,
      'a share below 100 %',
    ),
    ...finding(
      'long-window',
      longMinutes >= windowMinutes,
      `the long window is not shorter than the objective’s ${toDuration(windowMinutes)}`,
      'a quarter of it at most',
    ),
    ...finding(
      'short-window',
      shortMinutes < minimumShortSlots || shortMinutes >= longMinutes,
      'the short window holds fewer than 2 slots, or is as long as the long one',
      `${toDuration(Math.max(minimumShortSlots, Math.round(longMinutes / 12)))}, a twelfth of the long one`,
    ),
    ...finding(
      'slow-to-clear',
      shortMinutes > maxShortMinutes,
      `it fires for up to ${toDuration(2 * shortMinutes)} after everything is well`,
      `a short window of ${toDuration(maxShortMinutes)} or less`,
      'warning',
    ),
  ]
}

/** With the traffic that the objective expects: whether a tier’s factor or only its minimum decides. */
function lintTraffic(document: Document, { tiers, method }: Objective): Finding[] {
  const path = annotation('events-per-day')
  const perDay = document.get(path)
  if (perDay === undefined || method !== 'Occurrences') return []
  return tiers.flatMap(({ name, longMinutes, threshold, minimumBad }) => {
    const events = (Number(perDay) * longMinutes) / 1440
    const needed = Math.ceil(
      toNumber(multiply(threshold, { numerator: Math.round(events * 1000), denominator: 1000 })),
    )
    if (needed >= minimumBad) return []
    const message = `${name}: ${toDuration(longMinutes)} hold ${round(events, 1)} events, of which ${Math.max(1, needed)} bad would burn it; it waits for ${minimumBad}`
    return [
      document.finding(
        path,
        'too-few-events',
        message,
        'it fires late: a longer window, a lower target, or probes as traffic',
        'warning',
      ),
    ]
  })
}
