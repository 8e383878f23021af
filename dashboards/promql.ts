import { parser } from '@prometheus-io/lezer-promql'

type SyntaxNode = ReturnType<typeof parser.parse>['topNode']

/** Grafana's variables inside brackets, as durations of the same length, so that positions stay. */
const parsable = (expr: string): string =>
  expr.replaceAll(/\$(__rate_interval|ago)/g, name => `${'0'.repeat(name.length - 2)}1m`)

function nodes(expr: string, name: string): SyntaxNode[] {
  const found: SyntaxNode[] = []
  parser.parse(parsable(expr)).iterate({ enter: node => void (node.name === name && found.push(node.node)) })
  return found
}

const rates = /\b(?:rate|irate|increase)\([^[()]*\[(?!\$__rate_interval\])[^\]]*\]/

/** @throws when it is no PromQL, or a rate has a window that does not follow the dashboard's resolution. */
export function checkExpression(expr: string): void {
  if (nodes(expr, '⚠').length > 0) throw new Error(`not PromQL: ${expr}`)
  const fixed = rates.exec(expr)
  if (fixed) throw new Error(`${fixed[0]} must use [$__rate_interval]: ${expr}`)
}

/** The expression with these matchers in every selector. */
export const withMatchers = (expr: string, matchers: string): string =>
  nodes(expr, 'VectorSelector').reduceRight((text, selector) => {
    const braces = selector.getChild('LabelMatchers')
    const [at, added] = !braces
      ? [selector.to, `{${matchers}}`]
      : [braces.to - 1, braces.firstChild ? `, ${matchers}` : matchers]
    return text.slice(0, at) + added + text.slice(at)
  }, expr)

/** Names of the metrics that an expression reads. */
export const metricsOf = (expr: string): string[] =>
  nodes(expr, 'VectorSelector').flatMap(selector => {
    const name = selector.getChild('Identifier')
    return name ? [expr.slice(name.from, name.to)] : []
  })

/** Values for the variables of an expression, to ask Prometheus without Grafana; labels match everything. */
export const fill = (expr: string, { interval = '5m', ago = '1h' } = {}): string =>
  expr
    .replaceAll('$__rate_interval', interval)
    .replaceAll('$ago', ago)
    .replaceAll(/=~"\$\w+"/g, '=~".*"')
