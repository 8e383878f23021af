import { type Definition, metrics } from '@tintype/lib/telemetry/definitions.ts'
import { minimumShortSlots } from '../math/burn-rate.ts'
import { complement, multiply, toNumber } from '../math/fraction.ts'
import { round } from '../math/standing.ts'
import { toDuration } from '../math/time.ts'
import type { Matcher, Objective, Selector, Tier } from '../sources/index.ts'
import { matches } from '../sources/selector.ts'
import type { Document, Finding, Path } from './document.ts'
import { annotation, query, targetPath, windowPath } from './openslo.ts'

/**
 * What is allowed by the shape and wrong all the same: each finding with its place and the mend. `keepDays`: how long the
 * source keeps minutes; 0 is for ever, or not ours to know.
 */
export function lint(document: Document, objective: Objective, keepDays = 0): Finding[] {
  return [
    ...lintSelector(document, query('good'), objective.sli.good),
    ...lintSelector(document, query('total'), objective.sli.total),
    ...lintTarget(document, objective),
    ...objective.tiers.flatMap(tier => lintTier(document, objective, tier)),
    ...lintTraffic(document, objective),
    ...lintWindow(document, objective, keepDays),
  ]
}

function lintSelector(document: Document, path: Path, { metric, matchers }: Selector): Finding[] {
  const [, base = metric, part] = /^(.*?)(_bucket|_count|_sum)?$/.exec(metric) ?? []
  const catalogue: Record<string, Definition> = metrics
  const definition = catalogue[metric] ?? catalogue[base]
  if (!definition)
    return [
      document.finding(
        path,
        'unknown-metric',
        `no service exposes ${metric}`,
        'take a name from the catalogue',
      ),
    ]
  if (definition.kind === 'gauge' || (definition.kind === 'histogram' && !part))
    return [
      document.finding(
        path,
        'no-counter',
        `${metric} is a ${definition.kind}, which has no increase`,
        'count events in a counter, or take _bucket and _count of a histogram',
      ),
    ]
  const labels = matchers
    .filter(({ label }) => label !== 'le')
    .flatMap(each => lintLabel(document, path, metric, definition, each))
  return part === '_bucket' ? [...labels, ...lintBucket(document, path, definition, matchers)] : labels
}

/** Prometheus adds these to every series it scrapes. */
const targetLabels = ['job', 'instance']

function lintLabel(document: Document, path: Path, metric: string, definition: Definition, matcher: Matcher) {
  const values = definition.labels[matcher.label]
  if (values === 'open' || targetLabels.includes(matcher.label)) return []
  const some = values?.some(value => matches({ matchers: [matcher] }, { [matcher.label]: value }))
  if (some) return []
  const message = values
    ? `${metric} never has ${matcher.label}${matcher.operator}"${matcher.value}"`
    : `${metric} has no label ${matcher.label}`
  const known = values ? values.join(', ') : Object.keys(definition.labels).join(', ') || 'none'
  return [document.finding(path, 'unknown-label', message, `it may be ${known}`)]
}

function lintBucket(
  document: Document,
  path: Path,
  { buckets = [] }: Definition,
  matchers: readonly Matcher[],
) {
  const le = matchers.find(({ label }) => label === 'le')
  const pattern = (bound: number) => `le=~"${bound}(\\\\.0)?"`
  if (!le)
    return [
      document.finding(
        path,
        'missing-bucket',
        'a _bucket without le counts every event many times',
        `write ${pattern(60)}`,
      ),
    ]
  const chosen = buckets.find(bound => matches({ matchers: [le] }, { le: String(bound) }))
  if (chosen === undefined)
    return [
      document.finding(
        path,
        'missing-bucket',
        `there is no bucket le${le.operator}"${le.value}"`,
        `the bounds are ${buckets.join(', ')}; add one in lib/telemetry/catalogue.ts, or take one of these`,
      ),
    ]
  const both = [String(chosen), `${chosen}.0`].every(text => matches({ matchers: [le] }, { le: text }))
  return both || !Number.isInteger(chosen)
    ? []
    : [
        document.finding(
          path,
          'bucket-text',
          `Prometheus 3 writes le="${chosen}.0", version 2 le="${chosen}"`,
          `write ${pattern(chosen)}`,
        ),
      ]
}

function lintTarget(document: Document, { method, target, windowMinutes }: Objective): Finding[] {
  if (method !== 'Timeslices') return []
  const { numerator, denominator } = complement(target)
  const budget = (windowMinutes * numerator) / denominator
  if (budget < 1)
    return [
      document.finding(
        targetPath,
        'no-budget',
        `the budget is ${round(budget, 3)} minutes: a single bad one breaks the promise`,
        'lower the target, or lengthen the window',
      ),
    ]
  if (Number.isInteger(budget)) return []
  const exact = (windowMinutes - Math.round(budget)) / windowMinutes
  return [
    document.finding(
      targetPath,
      'inexact-target',
      `the budget is ${round(budget, 4)} minutes, and minutes are whole`,
      `${exact} gives ${Math.round(budget)}`,
      'warning',
    ),
  ]
}

function lintWindow(document: Document, { windowMinutes }: Objective, keepDays: number): Finding[] {
  if (keepDays === 0 || windowMinutes <= keepDays * 1440) return []
  const message = `the window is ${toDuration(windowMinutes)}, and the recorder keeps minutes for ${keepDays} days`
  const mend = `KEEP_METRICS_DAYS=${Math.ceil(windowMinutes / 1440)} or more, or a shorter window`
  return [document.finding(windowPath, 'window-not-kept', message, mend)]
}

function lintTier(document: Document, objective: Objective, tier: Tier): Finding[] {
  const { target, windowMinutes } = objective
  const { longMinutes, shortMinutes, factor } = tier
  const written = document.get(annotation('tiers')) !== undefined
  const path = written ? annotation('tiers') : targetPath
  const windows = `${toDuration(longMinutes)}/${toDuration(shortMinutes)}`
  const most = 1 / toNumber(complement(target))
  const finding = (rule: string, wrong: boolean, message: string, mend: string) =>
    wrong ? [document.finding(path, rule, `${tier.name} ${windows}: ${message}`, mend)] : []
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
