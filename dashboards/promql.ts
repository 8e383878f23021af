import { promqlError, type Scope, scoped, selectorsOf, withMatchers } from '../slo/sources/promql.ts'

/** Grafana's variables inside brackets are no durations: these stand in their place while PromQL is parsed. */
const standIns: Readonly<Record<string, string>> = { $__rate_interval: '987654321s', $ago: '987654322s' }
const parsable = (expr: string): string =>
  expr.replaceAll(/\$(__rate_interval|ago)/g, name => standIns[name] ?? name)
const shown = (expr: string): string =>
  Object.entries(standIns).reduce((text, [name, standIn]) => text.replaceAll(standIn, () => name), expr)

const fixedWindow = /\b(?:rate|irate|increase)\([^[()]*\[(?!\$__rate_interval\])[^\]]*\]/

/**
 * The expression within a scope and with the dashboard's variables in every selector.
 * @throws when it is no PromQL, or a rate has a window that does not follow the dashboard's resolution
 */
export function expressionFor(expr: string, scope: Scope, variables: readonly string[]): string {
  const wrong = promqlError(parsable(expr))
  if (wrong !== undefined) throw new Error(`not PromQL from "${shown(wrong)}" on: ${expr}`)
  const fixed = fixedWindow.exec(expr)
  if (fixed) throw new Error(`${fixed[0]} must use [$__rate_interval]: ${expr}`)
  const values = Object.fromEntries(variables.map(name => [name, `$${name}`]))
  return shown(scoped(withMatchers(parsable(expr), values, '=~'), scope))
}

/** Names of the metrics that an expression reads. */
export const metricsOf = (expr: string): string[] =>
  selectorsOf(parsable(expr)).flatMap(selector => /^[\w:]+/.exec(selector) ?? [])

/** Values for the variables of an expression, to ask Prometheus without Grafana; labels match everything. */
export const fill = (expr: string, { interval = '5m', ago = '1h' } = {}): string =>
  expr
    .replaceAll('$__rate_interval', interval)
    .replaceAll('$ago', ago)
    .replaceAll(/=~"\$\w+"/g, '=~".*"')
