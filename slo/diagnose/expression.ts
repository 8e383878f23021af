import { parser } from '@prometheus-io/lezer-promql'
import type { Selector } from '../sources/index.ts'
import { errorAt, parseSelector } from '../sources/promql.ts'
import {
  aggregate,
  aggregations,
  combine,
  functions,
  lastSample,
  lastTime,
  operators,
  rangeFunctions,
  scalar,
  type Vector,
  type Window,
} from './evaluate.ts'

type SyntaxNode = ReturnType<typeof parser.parse>['topNode']

export type Expression = {
  /** As it is written; in one window the same text has the same value. */
  text: string
  selectors: readonly Selector[]
  isScalar: boolean
  vectorIn(window: Window): Vector
}

/** The window that is looked at, and all windows of the baseline: as ranges of the same length, which the parser knows. */
const ranges = { $w: '1w', $b: '1y' } as const

/** What is wrong with an expression, and where: characters from its start. */
export class ExpressionError extends Error {
  override name = 'ExpressionError'
  readonly at: number
  constructor(at: number, message: string) {
    super(message)
    this.at = at
  }
}

/** Undefined when slo can evaluate the expression. */
export function checkExpression(text: string): ExpressionError | undefined {
  try {
    parseExpression(text)
    return undefined
  } catch (error) {
    if (error instanceof ExpressionError) return error
    throw error
  }
}

/**
 * The value of an expression in a window: of several series the largest. Undefined: there was no data. Not finite: there
 * was, but nothing to divide by, such as a mean of no calls.
 */
export function valueIn(expression: Expression, window: Window): number | undefined {
  const values = expression.vectorIn(window).map(({ value }) => value)
  const known = values.filter(Number.isFinite)
  return known.length > 0 ? Math.max(...known) : values[0]
}

/** The same; null when it is no finite number. */
export function numberIn(expression: Expression, window: Window): number | null {
  const value = valueIn(expression, window)
  return value !== undefined && Number.isFinite(value) ? value : null
}

/** @throws ExpressionError */
export function parseExpression(text: string): Expression {
  const parsed = text.replaceAll(/\$[wb]\b/g, name => ranges[name as keyof typeof ranges])
  const wrong = errorAt(parsed)
  if (wrong !== undefined) throw new ExpressionError(wrong, 'from here on this is no PromQL')
  return readerOf(parsed, text)(parser.parse(parsed).topNode)
}

function fail(node: SyntaxNode, message: string): never {
  throw new ExpressionError(node.from, message)
}

function children(node: SyntaxNode | null | undefined): SyntaxNode[] {
  const all: SyntaxNode[] = []
  for (let child = node?.firstChild; child; child = child.nextSibling)
    if (child.name !== 'LineComment') all.push(child)
  return all
}

/** `written`: the text with `$w` and `$b`, which are as long as the ranges that stand for them. */
function readerOf(text: string, written: string): (node: SyntaxNode) => Expression {
  const textOf = ({ from, to }: SyntaxNode) => text.slice(from, to)
  const oneOf = (node: SyntaxNode, names: readonly string[], what: string): string => {
    const name = textOf(node).toLowerCase()
    if (names.includes(name)) return name
    return fail(node, `${what} ${name} is not one that slo evaluates: ${names.join(', ')}`)
  }
  const made = (
    node: SyntaxNode,
    of: readonly Pick<Expression, 'selectors'>[],
    compute: (window: Window) => Vector,
    isScalar = false,
  ): Expression => {
    const name = written.slice(node.from, node.to).replaceAll(/\s+/g, ' ')
    const vectorIn = (window: Window) => {
      const vector = window.known.get(name) ?? compute(window)
      window.known.set(name, vector)
      return vector
    }
    return { text: name, selectors: of.flatMap(({ selectors }) => selectors), isScalar, vectorIn }
  }
  const selectorOf = (node: SyntaxNode): Selector =>
    parseSelector(textOf(node)) ??
    fail(node, `${textOf(node)} is not the name of a metric with matchers label="value"`)

  const readers: Readonly<Record<string, (node: SyntaxNode, ...parts: SyntaxNode[]) => Expression>> = {
    PromQL: (_, inner) => read(inner as SyntaxNode),
    ParenExpr: (_, inner) => read(inner as SyntaxNode),
    NumberDurationLiteral: number,
    UnaryExpr: number,
    VectorSelector(node) {
      const selector = selectorOf(node)
      return made(node, [{ selectors: [selector] }], window => lastSample(selector, window, [window]))
    },
    FunctionCall(node, identifier, body) {
      const known = ['timestamp', ...Object.keys(functions), ...Object.keys(rangeFunctions)]
      const name = oneOf(identifier as SyntaxNode, known, 'the function')
      const given = children(body)
      const compute = functions[name]
      if (!compute) return overTime(node, name, given)
      const [count, words] = name.startsWith('clamp') ? [2, 'two values'] : [1, 'one value']
      if (given.length !== count) fail(node, `${name} takes ${words}`)
      const values = given.map(read)
      return made(
        node,
        values,
        window => compute(...(values.map(each => each.vectorIn(window)) as [Vector, Vector?])),
        name === 'scalar',
      )
    },
    AggregateExpr(node, operator) {
      const name = oneOf(operator as SyntaxNode, Object.keys(aggregations), 'the aggregation')
      const modifier = node.getChild('AggregateModifier')
      if (modifier && !modifier.getChild('By')) fail(modifier, 'slo aggregates by labels, not without')
      const by = children(modifier?.getChild('GroupingLabels')).map(textOf)
      const of = read(children(node.getChild('FunctionCallBody'))[0] as SyntaxNode)
      return made(node, [of], window => aggregate(name, by, of.vectorIn(window)))
    },
    BinaryExpr(node, left, operator, ...rest) {
      const matching = node.getChild('MatchingModifierClause')
      if (matching) fail(matching, 'slo matches series by equal labels, without on, ignoring or group')
      const name = oneOf(operator as SyntaxNode, [...Object.keys(operators), 'or', 'and'], 'the operator')
      const bool = rest[0]?.name === 'BoolModifier'
      const [one, other] = [read(left as SyntaxNode), read(rest.at(-1) as SyntaxNode)]
      const operand = (of: Expression, window: Window) => ({ ...of, vector: of.vectorIn(window) })
      return made(
        node,
        [one, other],
        window => combine(name, bool, operand(one, window), operand(other, window)),
        one.isScalar && other.isScalar,
      )
    },
  }

  function number(node: SyntaxNode): Expression {
    const value = Number(textOf(node))
    if (Number.isNaN(value)) fail(node, `${textOf(node)} is no number; a sign stands before numbers only`)
    return made(node, [], () => scalar(value), true)
  }

  function overTime(node: SyntaxNode, name: string, [matrix, second]: readonly SyntaxNode[]): Expression {
    const [of, duration] = matrix?.name === 'MatrixSelector' ? children(matrix) : [matrix]
    const range = duration && textOf(duration)
    const isTime = name === 'timestamp'
    const isRange = isTime ? of?.name === 'VectorSelector' : range === ranges.$w || range === ranges.$b
    const takes = isTime ? 'a selector' : 'a selector over [$w], the window, or [$b], the baseline'
    if (!of || second || !isRange) return fail(node, `${name} takes ${takes}`)
    const selector = selectorOf(of)
    const compute = rangeFunctions[name] ?? lastTime
    return made(node, [{ selectors: [selector] }], window =>
      compute(selector, window, range === ranges.$b ? window.baseline : [window]),
    )
  }

  function read(node: SyntaxNode): Expression {
    const reader = readers[node.name]
    if (!reader) return fail(node, `${node.name} is not part of the PromQL that slo evaluates`)
    return reader(node, ...children(node))
  }
  return read
}
