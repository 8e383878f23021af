import { round } from '../math/standing.ts'
import { toDuration } from '../math/time.ts'
import { longestWindowMinutes } from '../math/window.ts'
import type { PrometheusApi } from '../sources/prometheus-api.ts'
import { selectorsOf } from '../sources/promql.ts'
import type { Finding } from './document.ts'
import { found } from './found.ts'
import type { parseFiles } from './objectives.ts'
import { countedPart, type Part, query, windowPath } from './openslo.ts'

const daySeconds = 86_400

/**
 * What a Prometheus says of the queries: a metric is a gauge, or no series is meant. An objective that counts nothing
 * never alerts, and one whose bad events have a wrong name is always met.
 * @throws SourceError.
 */
export async function lintSeen(
  files: ReturnType<typeof parseFiles>,
  api: PrometheusApi,
  atSeconds: number,
): Promise<Finding[]> {
  const keepDays = await api.keepDays()
  const windows = files.flatMap(({ document, objectives: [objective] }) => {
    const needed = objective ? Math.ceil(longestWindowMinutes(objective) / 1440) : 0
    if (!objective || !keepDays || needed <= keepDays) return []
    const values = { window: toDuration(objective.windowMinutes), keepDays: round(keepDays, 1), needed }
    return [found(document, windowPath, 'window-not-stored', values)]
  })
  const all = files.flatMap(({ document, objectives: [objective] }) => {
    if (!objective) return []
    const { sli } = objective
    const part = countedPart(document) ?? 'gauge'
    const queries: [Part, string][] =
      sli.kind === 'threshold'
        ? [[part, sli.gauge]]
        : [
            [part, sli.part.promql],
            ['total', sli.total.promql],
          ]
    return queries.flatMap(([part, promql]) =>
      selectorsOf(promql).map(selector => ({ document, part, selector })),
    )
  })
  const findings = all.map(async ({ document, part, selector }): Promise<Finding[]> => {
    const metric = /^[\w:]*/.exec(selector)?.[0] ?? ''
    const [count, kind] = await Promise.all([
      api.series(selector, atSeconds - daySeconds, atSeconds),
      api.kindOf(metric),
    ])
    const rule = part === 'good' || part === 'bad' ? 'part-not-seen' : 'not-seen'
    return [
      ...(count === 0 ? [found(document, query(part), rule, { selector, part })] : []),
      ...(kind === 'gauge' && part !== 'gauge'
        ? [found(document, query(part), 'no-counter', { metric, kind })]
        : []),
    ]
  })
  return [...windows, ...(await Promise.all(findings)).flat()]
}
