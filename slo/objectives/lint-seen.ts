import { round } from '../math/standing.ts'
import { toDuration } from '../math/time.ts'
import { longestWindowMinutes } from '../math/window.ts'
import type { PrometheusApi } from '../sources/prometheus-api.ts'
import { metricIn, selectorsOf } from '../sources/promql.ts'
import type { Finding } from './document.ts'
import { found } from './found.ts'
import type { parseFiles } from './objectives.ts'
import { queriesOf, query, windowPath } from './openslo.ts'

/**
 * Findings from a Prometheus about the queries: a metric is a gauge, or no series is selected. An objective that counts
 * nothing never alerts, and one whose bad events have a wrong name is always met.
 * @throws SourceError.
 */
export async function lintSeen(
  files: ReturnType<typeof parseFiles>,
  api: PrometheusApi,
  atSeconds: number,
): Promise<Finding[]> {
  const keepDays = await api.keepDays()
  const all = files.map(async ({ document, objectives: [objective] }) => {
    if (!objective) return []
    const needed = Math.ceil(longestWindowMinutes(objective) / 1440)
    const values = { window: toDuration(objective.windowMinutes), keepDays: round(keepDays, 1), needed }
    const findings = needed > keepDays ? [found(document, windowPath, 'window-not-stored', values)] : []
    for (const [part, { promql }] of queriesOf(document, objective.sli)) {
      // Its functions, and the types of their arguments, are those of this Prometheus. Counted, as it may be many series.
      const refused = (error: Error) =>
        void findings.push(found(document, query(part), 'refused', { message: error.message }))
      await api.instant(`count(${promql})`, atSeconds).catch(refused)
      for (const selector of selectorsOf(promql)) {
        const rule = part === 'good' || part === 'bad' ? 'part-not-seen' : 'not-seen'
        // Names only, because a histogram of many labels has too many series to list.
        const seen = await api.labelValues('__name__', [selector], atSeconds - 86_400, atSeconds)
        if (seen.length === 0) findings.push(found(document, query(part), rule, { selector, part }))
        const metric = metricIn(selector)
        const kind = part === 'gauge' ? '' : ((await api.kindOf(metric)) ?? '')
        if (/^(gauge|summary|info|stateset)$/.test(kind))
          findings.push(found(document, query(part), 'no-counter', { metric, kind }))
      }
    }
    return findings
  })
  return (await Promise.all(all)).flat()
}
