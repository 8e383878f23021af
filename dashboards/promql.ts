import { promqlError, type Scope, scoped, selectorsOf, withMatchers } from '../slo/sources/promql.ts'

/** Grafana's variables in brackets are not durations: these durations replace them while PromQL is parsed. */
const standIns: Readonly<Record<string, string>> = {
  $__rate_interval: '987654321s',
  $ago: '987654322s',
  $__range: '987654323s',
  $__interval: '987654324s',
}
const parsable = (expr: string): string =>
  expr.replaceAll(/\$\{?(\w+)\}?/g, (given, name) => standIns[`$${name}`] ?? given)
const shown = (expr: string): string =>
  Object.entries(standIns).reduce((text, [name, standIn]) => text.replaceAll(standIn, () => name), expr)

/** A total may be of all that the panel shows. */
const fixedWindow = /\b(?:rate|irate|increase)\([^[()]*\[(?!\$__(?:rate_interval|range)\])[^\]]*\]/

/**
 * Applies a scope to an expression, and adds the dashboard's variables to every selector.
 * @throws when it is not PromQL, or a rate's window does not follow the dashboard's resolution
 */
export function expressionFor(expr: string, scope: Scope, variables: readonly string[]): string {
  const wrong = promqlError(parsable(expr))
  if (wrong !== undefined) throw new Error(`not PromQL from "${shown(wrong)}" on: ${expr}`)
  const fixed = fixedWindow.exec(shown(parsable(expr)))
  if (fixed) throw new Error(`${fixed[0]} must use [$__rate_interval]: ${expr}`)
  const values = Object.fromEntries(variables.map(name => [name, `$${name}`]))
  return shown(scoped(withMatchers(parsable(expr), values, '=~'), scope))
}

export const metricsOf = (expr: string): string[] =>
  selectorsOf(parsable(expr)).flatMap(selector => /^[\w:]+/.exec(selector) ?? [])

/** Replaces the variables of an expression, to ask Prometheus without Grafana. Labels match everything. */
export const fill = (expr: string, { interval = '5m', ago = '1h' } = {}): string =>
  expr
    .replaceAll(/\$__(rate_interval|interval|range)/g, interval)
    .replaceAll('$ago', ago)
    .replaceAll(/=~"\$\w+"/g, '=~".*"')
