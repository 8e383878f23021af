import { parseJson } from '@tintype/lib/json.ts'
import type { Counter, Labels, Matcher, Selector } from './index.ts'
import { type Node, onceEach, treeOf } from './promql-tree.ts'
import { patternOf } from './selector.ts'

/** Limits every read of a Prometheus that several services share. */
export type Scope = {
  /** Matchers added to every selector: label to value. */
  selectors: Readonly<Record<string, string>>
  /** Labels that distinguish the copies of a highly available pair. Series that differ only in them are one. */
  replicaLabels: readonly string[]
  /** The scrape interval in seconds; default: the longest one, 60. */
  scrapeSeconds?: number
  /** Headers sent with each read, such as a token or a tenant. */
  headers?: Readonly<Record<string, string>>
}
export const unscoped: Scope = { selectors: {}, replicaLabels: [] }

/** The nodes of some kinds, in the order of the text. */
function nodes(promql: string, ...names: string[]): Node[] {
  const found: Node[] = []
  treeOf(promql).iterate({ enter: at => void (names.includes(at.name) && found.push(at.node)) })
  return found
}

/** The text of a node; empty when it is missing. */
const textOf = (promql: string, node: Pick<Node, 'from' | 'to'> | null): string =>
  promql.slice(node?.from ?? 0, node?.to ?? 0)
const texts = (promql: string, ...names: string[]): string[] =>
  nodes(promql, ...names).map(node => textOf(promql, node))

/** Offset at which a text stops being PromQL; undefined when it is valid. */
export const errorAt = (promql: string): number | undefined =>
  promql.trim() === '' ? 0 : nodes(promql, '⚠')[0]?.from

/** A string with the escapes of Go. */
const goString = /^`|^(["'])([^\\\n]|\\([abfnrtv\\'"]|[0-7]{3}|x[\da-f]{2}|u[\da-f]{4}|U[\da-f]{8}))*\1$/i

/** A text of the same length in which quoted strings are only quotation marks. */
export const outsideQuotes = (text: string): string =>
  text.replaceAll(/"(\\.|[^"\\])*"|'(\\.|[^'\\])*'|`[^`]*`/g, quoted => '"'.repeat(quoted.length))

/**
 * The invalid part of a text: from the first wrong character on, or a string or a matcher with a pattern for which
 * Prometheus refuses a whole rule file.
 */
export function promqlError(promql: string): string | undefined {
  const at = errorAt(promql)
  if (at !== undefined) return promql.slice(at).trim() || 'its end'
  // The grammar takes a non-breaking space for a space, and Prometheus does not.
  const [wide] = /[^\S \t\r\n].*/s.exec(outsideQuotes(withoutComments(promql))) ?? []
  if (wide) return wide
  return texts(promql, 'StringLiteral', 'UnquotedLabelMatcher').find(each => {
    if (/^["'`]/.test(each)) return !goString.test(each)
    const [, quoted = ''] = /^\w+\s*[=!]~\s*(.*)$/s.exec(each) ?? []
    return patternOf(unquote(quoted) ?? '') === null
  })
}

const takesRange =
  /_over_time$|^(i?rate|increase|i?delta|deriv|predict_linear|changes|resets|holt_winters|double_exponential_smoothing)$/

/** An offset of what is no selector. */
const afterCall = /(?<!\b(start|end)\s*\(\s*)\)\s*(offset\b|@)/i

/** Whether an expression is an instant vector and has ranges only where functions take them. */
export function isInstantVector(promql: string): boolean {
  const key = ({ name, from, to }: Node) => `${name} ${from} ${to}`
  const taker = (range: Node): Node => {
    let node = range
    while (node.parent && /^(Paren|Offset|StepInvariant)Expr$|Body$/.test(node.parent.name))
      node = node.parent
    return node.parent ?? node
  }
  const takers = nodes(promql, 'MatrixSelector', 'SubqueryExpr').map(taker).map(key)
  const calls = nodes(promql, 'FunctionCall').filter(call => takesRange.test(functionOf(call, promql)))
  const [root] = nodes(promql, 'PromQL')
  return (
    !afterCall.test(outsideQuotes(promql)) &&
    new Set(takers).symmetricDifference(new Set(calls.map(key))).size === 0 &&
    isVector(root?.lastChild ?? null, promql)
  )
}

function isVector(node: Node | null, promql: string): boolean {
  if (!node || /Literal$/.test(node.name)) return false
  if (node.name === 'BinaryExpr') return isVector(node.firstChild, promql) || isVector(node.lastChild, promql)
  if (/^(Paren|Unary)Expr$/.test(node.name)) return isVector(node.lastChild, promql)
  return !/^(scalar|time|pi)$/.test(functionOf(node, promql))
}

/** Whether an aggregation in the expression drops a label. */
export const losesLabel = (promql: string, label: string): boolean =>
  nodes(promql, 'AggregateExpr').some(node => {
    const modifier = textOf(promql, node.getChild('AggregateModifier'))
    const isNamed = new RegExp(`\\b${label}\\b`).test(modifier)
    if (/^(topk|bottomk|limit)/i.test(promql.slice(node.from))) return false
    return /^without/i.test(modifier) ? isNamed : !isNamed
  })

/** Whether a join or a function gives the series a label that a selector may not have. */
export const gainsLabel = (promql: string, label: string): boolean =>
  new RegExp(`\\bgroup_(left|right)\\s*\\([^)]*\\b${label}\\b`, 'i').test(outsideQuotes(promql)) ||
  nodes(promql, 'FunctionCall').some(call => {
    const made = call.getChild('FunctionCallBody')?.getChild('StringLiteral') ?? null
    return /^label_/.test(functionOf(call, promql)) && textOf(promql, made).slice(1, -1) === label
  })

/** The function that a node calls; empty when it is no call. */
const functionOf = (node: Node, promql: string): string => textOf(promql, node.getChild('FunctionIdentifier'))

/** Removes comments: text appended to an expression would become part of them. */
export const withoutComments = (promql: string): string =>
  nodes(promql, 'LineComment')
    .reduceRight((text, { from, to }) => text.slice(0, from) + text.slice(to), promql)
    .trim()

/** The functions and aggregations of an expression, and its divisions by series. */
export const functionsOf = (promql: string): string[] => [
  ...texts(promql, 'FunctionIdentifier', 'AggregateOp', 'BoolModifier'),
  ...nodes(promql, 'BinaryExpr').flatMap(node =>
    node.getChild('Div') && selectorsOf(textOf(promql, node.lastChild)).length > 0 ? ['/'] : [],
  ),
]

/** The selectors of an expression, as written. */
export const selectorsOf = (promql: string): string[] => texts(promql, 'VectorSelector')
/** The metric of a selector as written; empty when it has only matchers. */
export const metricIn = (selector: string): string => /^[\w:]*/.exec(selector)?.[0] ?? ''

const insert = (text: string, added: { at: number; text: string }[]): string =>
  added
    .toSorted((one, other) => one.at - other.at)
    .reduceRight((all, each) => all.slice(0, each.at) + each.text + all.slice(each.at), text)

/** Adds a matcher for each of these values to every selector. */
export const withMatchers = (promql: string, values: Labels, operator: Matcher['operator'] = '='): string => {
  const text = Object.entries(values).map(([label, value]) => formatMatcher({ label, operator, value }))
  const added = nodes(promql, 'VectorSelector').map(selector => {
    const braces = selector.getChild('LabelMatchers')
    if (!braces) return { at: selector.to, text: `{${text}}` }
    const separated = braces.firstChild && !/,\s*}$/.test(promql.slice(braces.from, braces.to))
    return { at: braces.to - 1, text: `${separated ? ',' : ''}${text}` }
  })
  return text.length === 0 ? promql : insert(promql, added)
}

/** Applies a scope to an expression: narrows its selectors, and merges copies of series. */
export function scoped(promql: string, { selectors, replicaLabels }: Scope): string {
  const narrowed = withMatchers(promql, selectors)
  if (replicaLabels.length === 0) return narrowed
  const wrapped = nodes(narrowed, 'VectorSelector').flatMap(selector => {
    const vector = instantVector(selector, narrowed)
    if (!vector) return []
    return [
      { at: vector.from, text: `max without (${replicaLabels}) (` },
      { at: vector.to, text: ')' },
    ]
  })
  return insert(narrowed, wrapped)
}

/** Matched in the text, because the grammar's tree applies `b @ end()` of `a - b @ end()` to both. */
const modifiers = /(\s*(offset\s+-?\w+|@\s*(start\(\s*\)|end\(\s*\)|-?[\d.]+)))+/iy

/** The instant vector of a selector or of a function of its range; undefined for a range alone. */
function instantVector(selector: Node, promql: string): { from: number; to: number } | undefined {
  if (selector.parent?.name !== 'MatrixSelector') {
    modifiers.lastIndex = selector.to
    return { from: selector.from, to: selector.to + (modifiers.exec(promql)?.[0].length ?? 0) }
  }
  let node: Node | null = selector.parent
  while (node && node.name !== 'FunctionCall') node = node.parent
  return node ?? undefined
}

/**
 * Parses a counter. A sum of a selector, also with `or vector(0)` or of a rate, counts the same as the selector's
 * series. A name with a colon is recorded by a rule: mostly a sum, which falls when one of several processes restarts.
 */
export function counterOf(promql: string): Counter {
  let node = treeOf(promql).topNode.firstChild
  for (;;) {
    const inner: Node | null | undefined = node && within(node, promql)
    if (!inner) break
    node = inner
  }
  const selector = node?.name === 'VectorSelector' && parseSelector(textOf(promql, node))
  return { promql, selector: selector && !selector.metric.includes(':') ? selector : null }
}

/** The only operand of a sum, parentheses, a rate or `or vector(0)`. */
function within(node: Node, promql: string): Node | null | undefined {
  if (node.name === 'ParenExpr') return node.firstChild
  const operand = node.getChild('FunctionCallBody')?.firstChild
  if (/^(rate|increase)$/.test(functionOf(node, promql)))
    return operand?.name === 'MatrixSelector' ? operand.firstChild : undefined
  if (node.name === 'BinaryExpr')
    return /^or\s+(on\s*\(\s*\)\s*)?vector\(\s*0\s*\)$/i.test(
      promql.slice(node.firstChild?.to, node.to).trim(),
    )
      ? node.firstChild
      : undefined
  return node.name === 'AggregateExpr' && /^sum\b/i.test(promql.slice(node.from)) ? operand : undefined
}

/** Parses `name{label="value", …}`; undefined for anything else, such as a function of it. */
export const parseSelector = onceEach((text): Selector | undefined => {
  if (promqlError(text) !== undefined) return undefined
  const node = nodes(text, 'PromQL')[0]?.firstChild
  const name = node?.getChild('Identifier')
  if (node?.name !== 'VectorSelector' || !name || node.nextSibling) return undefined
  const braces = node.getChild('LabelMatchers')
  const written = braces?.getChildren('UnquotedLabelMatcher') ?? []
  // Quoted names, which Prometheus 3 allows, are not parsed.
  if (braces?.getChild('QuotedLabelMatcher') || braces?.getChild('QuotedLabelName')) return undefined
  const matchers = written.map((matcher): Matcher | undefined => {
    const [label, operator, quoted] = ['LabelName', 'MatchOp', 'StringLiteral'].map(part =>
      textOf(text, matcher.getChild(part)),
    ) as [string, Matcher['operator'], string]
    const value = unquote(quoted)
    if (value === undefined || (operator.endsWith('~') && !patternOf(value))) return undefined
    return { label, operator, value }
  })
  const known = matchers.filter(each => each !== undefined)
  return known.length === matchers.length ? { metric: textOf(text, name), matchers: known } : undefined
})

export const formatMatcher = ({ label, operator, value }: Matcher): string =>
  `${label}${operator}${JSON.stringify(value)}`
export const formatSelector = ({ metric, matchers }: Selector): string =>
  matchers.length === 0 ? metric : `${metric}{${matchers.map(formatMatcher).join(',')}}`

/** Unquotes a string; undefined for an escape that only Go has. */
function unquote(quoted: string): string | undefined {
  const inside = quoted.slice(1, -1)
  if (quoted.startsWith('`')) return inside
  const isSingle = quoted.startsWith("'")
  return parseJson(`"${isSingle ? inside.replaceAll("\\'", "'").replaceAll('"', '\\"') : inside}"`)
}
