import { expressionOf, variableQueries } from '../build.ts'
import { fill } from '../promql.ts'
import type { DashboardSpec, PanelSpec, Query } from '../spec.ts'

/** Grafana's values for a view of one hour, on a clock that runs ten times as fast. */
const variables = { interval: '20s', ago: '5s' }

export type Series = { metric: Record<string, string>; value: [seconds: number, value: string] }

export async function ask(prometheus: string, query: string): Promise<Series[]> {
  const answer = await fetch(`${prometheus}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query }),
  })
  const { data, error } = (await answer.json()) as { data: { result: Series[] }; error?: string }
  if (error) throw new Error(`${error}: ${query}`)
  return data.result
}

export const filled = (spec: DashboardSpec, query: Query): string =>
  fill(expressionOf(spec, query), variables)

/** The faults of a panel, found by asking Prometheus all its queries. `values` must be among those of `label`. */
export async function flawsOf(
  prometheus: string,
  spec: DashboardSpec,
  panel: PanelSpec,
  { label = '', values = [] }: { label?: string; values?: readonly string[] } = {},
): Promise<string[]> {
  const answers = await Promise.all(panel.queries.map(query => ask(prometheus, filled(spec, query))))
  // A line may be empty if the panel says what that means, such as a budget without losses.
  const shown = answers.some(series => series.length > 0)
  const flaws = answers.flatMap((series, i) =>
    series.length === 0 && shown && panel.nothing
      ? []
      : flawsOfSeries(panel, panel.queries[i] as Query, series),
  )
  const there = new Set(answers.flat().map(({ metric }) => metric[label]))
  const missing = values.filter(value => !there.has(value))
  return [...flaws, ...missing.map(value => `${label}="${value}" is missing`)].map(
    flaw => `${panel.title}: ${flaw}`,
  )
}

/** Only the scaled form has these engines. On one machine they are never called. */
const ofOtherEngine = /adapter="(s3|postgres)"/

function flawsOfSeries({ min, max, values }: PanelSpec, { legend, expr }: Query, series: Series[]): string[] {
  if (ofOtherEngine.test(expr)) return []
  if (series.length === 0) return [`no data from ${expr}`]
  const labels = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label as string)
  const states = Object.keys(values ?? {}).length
  return series.flatMap(({ metric, value: [, text] }) => {
    const value = Number(text)
    const name = JSON.stringify(metric)
    return [
      ...labels.filter(label => !(label in metric)).map(label => `no label ${label} in ${name}`),
      ...(Number.isFinite(value) ? [] : [`${text} of ${name} from ${expr}`]),
      ...(typeof min === 'number' && value < min ? [`${text} of ${name} is below ${min}`] : []),
      // The sums of doubles are 1 except for rounding errors.
      ...(max !== undefined && value > max + 1e-9 ? [`${text} of ${name} is above ${max}`] : []),
      ...(states > 1 && !(text in (values ?? {})) ? [`${text} has no word`] : []),
    ]
  })
}

/** Variables without values, among those that the service has: one cluster's Prometheus has no label cluster. */
export async function emptyVariables(prometheus: string, spec: DashboardSpec): Promise<string[]> {
  const offered = await Promise.all(
    variableQueries(spec)
      .filter(({ name }) => name !== 'cluster' && name !== 'namespace')
      .map(async ({ name, query }) => {
        const selector = fill(query.replace(/^label_values\((.*), \w+\)$/, '$1'))
        const answer = await fetch(
          `${prometheus}/api/v1/label/${name}/values?${new URLSearchParams({ 'match[]': selector })}`,
        )
        const { data = [] } = (await answer.json()) as { data?: string[] }
        return data.length > 0 ? [] : [`variable ${name} offers nothing: ${selector}`]
      }),
  )
  return offered.flat()
}
