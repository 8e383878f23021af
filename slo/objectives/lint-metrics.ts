import type { Definition } from '@tintype/lib/telemetry/catalogue.ts'
import { round } from '../math/standing.ts'
import { toDuration } from '../math/time.ts'
import { longestWindowMinutes } from '../math/window.ts'
import { inGroups } from '../sources/groups.ts'
import type { Counter, Matcher, Objective, Selector, Sli } from '../sources/index.ts'
import { type PrometheusApi, Refused } from '../sources/prometheus-api.ts'
import { formatMatcher, formatSelector, functionsOf, metricIn, selectorsOf } from '../sources/promql.ts'
import { boundMatcher, inGo, isWithin, matches } from '../sources/selector.ts'
import { type Document, type Finding, found, type Values } from './document.ts'
import type { parseFiles } from './objectives.ts'
import { type Part, queriesOf, query, windowPath } from './openslo.ts'

/** What lint knows about the source of the metrics. */
export type Reading = {
  source: 'recorder' | 'prometheus'
  /** Days that the embedded recorder keeps minutes; 0 means no limit. */
  keepDays: number
  /** The metrics that the service exposes; undefined when unknown. */
  catalogue?: Readonly<Record<string, Definition>> | undefined
}

/** Samples in ten minutes, one of which may be late: of a counter one a minute, of a gauge one each two minutes. */
const leastSamples: Partial<Record<Part, number>> = { total: 9, gauge: 5 }
/** More falls of a counter in an hour than a failing process has restarts: Kubernetes soon waits five minutes for each. */
const mostFalls = 20

/** Makes a finding at the place that is being checked. */
type Find = (name: string, values?: Values) => Finding

/** Functions and aggregations that make a counter from counters. */
const keepsCounter =
  /^(sum|max|min|(top|bottom|limit)k|limit_ratio|label_\w+|abs|ceil|floor|round|clamp\w*|(last|max|min)_over_time|histogram_(count|sum)|vector|sort\w*)$/i

/** A recorded metric with one of these words in its name, as `job:requests:rate5m`; not `job:duration_count:sum`. */
const recordedRate = /:(.*[:_])?(rate|ratio|increase)(\d+[smhdwy])*([:_]|$)/

/** Findings for an indicator's queries: the metric is no counter, or is not exposed. */
export function lintSli(document: Document, sli: Sli, { source, catalogue }: Reading): Finding[] {
  const isEmbedded = source === 'recorder'
  if (sli.kind === 'threshold') return isEmbedded ? [found(document, query('gauge'), 'gauge-not-kept')] : []
  return queriesOf(sli).flatMap(([part, { selector, promql }]) => {
    const find: Find = (name, values) => found(document, query(part), name, values)
    if (part !== 'total' && countedBy(sli.part) === countedBy(sli.total))
      return [find('same-query', { part })]
    if (part !== 'total' && selector && sli.total.selector && isWithin(sli.total.selector, selector))
      return [find('swapped-queries', { part })]
    if (selector) return catalogue ? lintSelector(find, selector, catalogue) : lintBound(find, selector)
    // slo takes the increase of a counter. The increase of a rate, a mean or a count of series is no number of events.
    const wrong = functionsOf(promql).find(name => !keepsCounter.test(name))
    const metric = selectorsOf(promql)
      .map(metricIn)
      .find(name => recordedRate.test(name))
    return [
      ...(isEmbedded ? [find('needs-prometheus')] : []),
      ...(wrong ? [find('computed', { function: wrong })] : []),
      ...(metric ? [find('no-counter', { metric, kind: 'rate' })] : []),
    ]
  })
}

/** A text that is equal for queries that count the same, such as a selector and its sum. */
const countedBy = ({ promql, selector }: Counter): string => (selector ? formatSelector(selector) : promql)

/** Without known metrics Prometheus' version is unknown, too, and with it how bounds are written. */
const lintBound = (find: Find, { matchers }: Selector): Finding[] =>
  matchers
    .filter(({ label, operator, value }) => label === 'le' && operator === '=' && /^\d+(\.0)?$/.test(value))
    .map(({ value }) => find('bucket-written', written(Number(value))))

function lintSelector(find: Find, selector: Selector, catalogue: NonNullable<Reading['catalogue']>) {
  const { metric, matchers } = selector
  const [, base = metric, part] = /^(.*?)(_bucket|_count|_sum)?$/.exec(metric) ?? []
  const definition = catalogue[metric] ?? catalogue[base]
  if (!definition) return [find('unknown-metric', { metric })]
  const { kind } = definition
  if (kind === 'gauge' || (kind === 'histogram' && !part)) return [find('no-counter', { metric, kind })]
  const others = matchers.filter(({ label }) => label !== 'le')
  const ofLabels = others.flatMap(each => lintLabel(find, metric, definition, each))
  return [...ofLabels, ...(part === '_bucket' ? lintBucket(find, definition, matchers) : [])]
}

function lintLabel(find: Find, metric: string, definition: Definition, matcher: Matcher): Finding[] {
  const { label } = matcher
  const values = definition.labels[label]
  // Prometheus adds job and instance to every scraped series.
  if (values === 'open' || ['job', 'instance'].includes(label)) return []
  if (!values) {
    const known = Object.keys(definition.labels).join(', ') || 'none'
    return [find('unknown-label', { metric, label, known })]
  }
  if (values.some(value => matches({ matchers: [matcher] }, { [label]: value }))) return []
  return [find('unknown-value', { metric, matcher: formatMatcher(matcher), known: values.join(', ') })]
}

const written = (bound: number) => ({ bound, inGo: inGo(bound), pattern: boundMatcher(bound) })

function lintBucket(find: Find, { buckets = [] }: Definition, matchers: readonly Matcher[]): Finding[] {
  const le = matchers.find(({ label }) => label === 'le')
  if (!le) return [find('no-bucket', { pattern: boundMatcher(60) })]
  const has = (bound: string) => matches({ matchers: [le] }, { le: bound })
  const chosen = buckets.find(bound => has(String(bound)))
  if (chosen === undefined)
    return [find('missing-bucket', { matcher: formatMatcher(le), bounds: buckets.join(', ') })]
  return has(inGo(chosen)) ? [] : [find('bucket-text', written(chosen))]
}

/** A finding of this name when samples are kept for fewer days than the objective's window has. */
export function lintKept(document: Document, objective: Objective, keepDays: number, name: string) {
  const needed = Math.ceil(longestWindowMinutes(objective) / 1440)
  const values = { window: toDuration(objective.windowMinutes), keepDays: round(keepDays, 1), needed }
  return needed > keepDays ? [found(document, windowPath, name, values)] : []
}

/**
 * Findings from a Prometheus about the queries: a metric is a gauge, or no series is selected. An objective that counts
 * nothing never alerts, and one whose bad events have a wrong name is always met.
 * @throws SourceError.
 */
export async function lintSeen(files: ReturnType<typeof parseFiles>, api: PrometheusApi, atSeconds: number) {
  const keepDays = await api.keepDays()
  const all = files.map(async ({ document, objectives: [objective] }) => {
    if (!objective) return []
    const findings = lintKept(document, objective, keepDays, 'window-not-stored')
    const isSliced = objective.method === 'Timeslices'
    for (const [part, { promql }] of queriesOf(inGroups(objective))) {
      const add = (name: string, values: Values) => findings.push(found(document, query(part), name, values))
      const refused = (error: Error) => {
        if (!(error instanceof Refused)) throw error
        return error
      }
      // Its functions, and the types of their arguments, are those of this Prometheus. Counted, as it may be many series.
      const answer = await api.instant(`count(${promql})`, atSeconds).catch(refused)
      if (answer instanceof Refused) add('refused', { message: answer.message })
      for (const selector of selectorsOf(promql)) {
        const rule = part === 'good' || part === 'bad' ? 'part-not-seen' : 'not-seen'
        // Names only, because a histogram of many labels has too many series to list.
        const seen = await api
          .labelValues('__name__', [selector], atSeconds - 86_400, atSeconds)
          .catch(refused)
        if (seen instanceof Refused) continue
        if (seen.length === 0) add(rule, { selector, part })
        else {
          // Too many samples for this Prometheus are no fault of the query, which is read piece by piece.
          const most = async (counted: string) => {
            const answer = await api.instant(`max(${counted})`, atSeconds).catch(refused)
            return answer instanceof Refused ? 0 : (answer[0]?.samples[0]?.value ?? 0)
          }
          const falls = part === 'total' ? await most(`resets(${selector}[1h])`) : 0
          if (falls > mostFalls) add('falls-often', { selector, falls })
          const least = (isSliced && leastSamples[part]) || 0
          const samples = least > 0 ? await most(`count_over_time(${selector}[10m])`) : least
          if (samples > 0 && samples < least) add('sampled-seldom', { selector, samples })
        }
        const metric = metricIn(selector)
        const kind = part === 'gauge' ? '' : ((await api.kindOf(metric)) ?? '')
        if (/^(gauge|summary|info|stateset)$/.test(kind)) add('no-counter', { metric, kind })
      }
    }
    return findings
  })
  return (await Promise.all(all)).flat()
}
