import { promqlError, type Scope, scoped, selectorsOf, withMatchers } from '../slo/sources/promql.ts'

/** Grafana's variables in brackets are not durations: these durations replace them while PromQL is parsed. */
const standIns: Readonly<Record<string, string>> = { $__rate_interval: '987654321s', $ago: '987654322s' }
const parsable = (expr: string): string =>
  expr.replaceAll(/\$(__rate_interval|ago)/g, name => standIns[name] ?? name)
const shown = (expr: string): string =>
  Object.entries(standIns).reduce((text, [name, standIn]) => text.replaceAll(standIn, () => name), expr)

const fixedWindow = /\b(?:rate|irate|increase)\([^[()]*\[(?!\$__rate_interval\])[^\]]*\]/

/**
 * Applies a scope to an expression, and adds the dashboard's variables to every selector.
 * @throws when it is not PromQL, or a rate's window does not follow the dashboard's resolution
 */
export function expressionFor(expr: string, scope: Scope, variables: readonly string[]): string {
  const wrong = promqlError(parsable(expr))
  if (wrong !== undefined) throw new Error(`not PromQL from "${shown(wrong)}" on: ${expr}`)
  const fixed = fixedWindow.exec(expr)
  if (fixed) throw new Error(`${fixed[0]} must use [$__rate_interval]: ${expr}`)
  const values = Object.fromEntries(variables.map(name => [name, `$${name}`]))
  return shown(scoped(withMatchers(parsable(expr), values, '=~'), scope))
}

export const metricsOf = (expr: string): string[] =>
  selectorsOf(parsable(expr)).flatMap(selector => /^[\w:]+/.exec(selector) ?? [])

/** Replaces the variables of an expression, to ask Prometheus without Grafana. Labels match everything. */
export const fill = (expr: string, { interval = '5m', ago = '1h' } = {}): string =>
  expr
    .replaceAll('$__rate_interval', interval)
    .replaceAll('$ago', ago)
    .replaceAll(/=~"\$\w+"/g, '=~".*"')
