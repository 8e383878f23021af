import { parser } from '@prometheus-io/lezer-promql'
import type { Selector } from '../sources/index.ts'
import { parseSelector } from '../sources/promql.ts'

type SyntaxNode = ReturnType<typeof parser.parse>['topNode']

/** `$w` and `$b` as ranges of the same length in characters, which the parser knows and nobody writes. */
const placeholders = { $w: '1w', $b: '1y' } as const
/** `$w` is the window that is looked at, `$b` all windows of the baseline. */
export type Range = keyof typeof placeholders

const rangeFunctions = [
  'rate',
  'increase',
  'changes',
  'avg_over_time',
  'max_over_time',
  'min_over_time',
  'last_over_time',
] as const
const functions = ['abs', 'clamp_min', 'clamp_max', 'scalar', 'vector', 'timestamp'] as const
const aggregates = ['sum', 'max', 'min', 'avg', 'count'] as const
const operators = ['+', '-', '*', '/', '>', '<', '>=', '<=', '==', '!=', 'or', 'and'] as const

/** PromQL as the subset that slo evaluates; `text` is the source, the same for equal nodes. */
export type Expression = { text: string } & (
  | { kind: 'number'; value: number }
  | ({ kind: 'selector' } & Selector)
  | { kind: 'range'; name: (typeof rangeFunctions)[number]; of: Selecting; range: Range }
  | { kind: 'call'; name: (typeof functions)[number]; of: readonly Expression[] }
  | { kind: 'aggregate'; name: (typeof aggregates)[number]; by: readonly string[]; of: Expression }
  | { kind: 'binary'; name: (typeof operators)[number]; bool: boolean; left: Expression; right: Expression }
)
export type Selecting = Extract<Expression, { kind: 'selector' }>

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
export function checkExpression(text: string): { at: number; message: string } | undefined {
  try {
    parseExpression(text)
  } catch (error) {
    if (error instanceof ExpressionError) return { at: error.at, message: error.message }
    throw error
  }
}

/** @throws ExpressionError */
export function parseExpression(text: string): Expression {
  const parsed = text.replaceAll(/\$[wb]\b/g, name => placeholders[name as Range])
  const tree = parser.parse(parsed)
  let wrong = parsed.trim() === '' ? 0 : undefined
  tree.iterate({
    enter({ type, from }) {
      if (type.isError) wrong ??= from
    },
  })
  if (wrong !== undefined) throw new ExpressionError(wrong, 'from here on this is no PromQL')
  return readerOf(parsed, text)(tree.topNode)
}

function readerOf(text: string, shown: string): (node: SyntaxNode) => Expression {
  const textOf = ({ from, to }: SyntaxNode) => text.slice(from, to)
  const fail = (node: SyntaxNode, message: string): never => {
    throw new ExpressionError(node.from, message)
  }
  const oneOf = <T extends string>(node: SyntaxNode, names: readonly T[], what: string): T =>
    names.find(name => name === textOf(node).toLowerCase()) ??
    fail(node, `${what} ${textOf(node)} is not one that slo evaluates: ${names.join(', ')}`)
  const children = (node: SyntaxNode): SyntaxNode[] => {
    const all: SyntaxNode[] = []
    for (let child = node.firstChild; child; child = child.nextSibling) all.push(child)
    return all
  }
  const read = (node: SyntaxNode): Expression => ({
    ...content(node),
    text: shown.slice(node.from, node.to).replaceAll(/\s+/g, ' '),
  })

  function content(node: SyntaxNode) {
    const [first, second] = children(node).filter(({ name }) => name !== 'LineComment')
    switch (node.name) {
      case 'PromQL':
      case 'ParenExpr':
        return read(first as SyntaxNode)
      case 'NumberDurationLiteral':
        return { kind: 'number', value: number(node) } as const
      case 'UnaryExpr': {
        if (second?.name !== 'NumberDurationLiteral') return fail(node, 'a sign stands before numbers only')
        return { kind: 'number', value: Number(textOf(node)) } as const
      }
      case 'VectorSelector':
        return selector(node)
      case 'FunctionCall':
        return call(node)
      case 'AggregateExpr':
        return aggregate(node)
      case 'BinaryExpr':
        return binary(node)
      default:
        return fail(node, `${node.name} is not part of the PromQL that slo evaluates`)
    }
  }

  function number(node: SyntaxNode): number {
    const value = Number(textOf(node))
    return Number.isNaN(value) ? fail(node, `${textOf(node)} is no number`) : value
  }

  function selector(node: SyntaxNode): Omit<Selecting, 'text'> {
    const selector = parseSelector(textOf(node))
    return selector
      ? { kind: 'selector', ...selector }
      : fail(node, `${textOf(node)} is not the name of a metric with matchers label="value"`)
  }

  function call(node: SyntaxNode) {
    const [identifier, body] = children(node) as [SyntaxNode, SyntaxNode]
    const given = children(body)
    const name = oneOf(identifier, [...rangeFunctions, ...functions], 'the function')
    if (!(rangeFunctions as readonly string[]).includes(name)) {
      const wanted = name.startsWith('clamp') ? 2 : 1
      if (given.length !== wanted) fail(node, `${name} takes ${wanted === 1 ? 'one value' : 'two values'}`)
      if (name === 'timestamp' && given[0]?.name !== 'VectorSelector')
        fail(node, 'slo knows the timestamp of a selector only')
      return { kind: 'call', name: name as (typeof functions)[number], of: given.map(read) } as const
    }
    const [matrix] = given
    const [of, duration] = matrix?.name === 'MatrixSelector' ? children(matrix) : []
    const range = (['$w', '$b'] as const).find(each => duration && textOf(duration) === placeholders[each])
    if (given.length !== 1 || !of || !range)
      return fail(node, `${name} takes a selector over [$w], the window, or [$b], the baseline`)
    return {
      kind: 'range',
      name: name as (typeof rangeFunctions)[number],
      of: read(of) as Selecting,
      range,
    } as const
  }

  function aggregate(node: SyntaxNode) {
    const [operator] = children(node) as [SyntaxNode]
    const name = oneOf(operator, aggregates, 'the aggregation')
    const modifier = node.getChild('AggregateModifier')
    if (modifier && !modifier.getChild('By')) fail(modifier, 'slo aggregates by labels, not without')
    const by = modifier ? children(modifier.getChild('GroupingLabels') ?? modifier).map(textOf) : []
    const given = children(node.getChild('FunctionCallBody') ?? node)
    return { kind: 'aggregate', name, by, of: read(given[0] ?? node) } as const
  }

  function binary(node: SyntaxNode) {
    const all = children(node)
    const [left, operator, ...rest] = all as [SyntaxNode, SyntaxNode, ...SyntaxNode[]]
    const matching = all.find(each => each.name === 'MatchingModifierClause')
    if (matching)
      fail(matching, 'slo matches series that have the same labels, without on, ignoring or group')
    const name = oneOf(operator, operators, 'the operator')
    const bool = rest[0]?.name === 'BoolModifier'
    return { kind: 'binary', name, bool, left: read(left), right: read(rest.at(-1) ?? node) } as const
  }

  return read
}

/** Every selector of an expression, in the order of its text. */
export function selectorsOf(expression: Expression): Selecting[] {
  switch (expression.kind) {
    case 'number':
      return []
    case 'selector':
      return [expression]
    case 'call':
      return expression.of.flatMap(selectorsOf)
    case 'binary':
      return [expression.left, expression.right].flatMap(selectorsOf)
    default:
      return selectorsOf(expression.of)
  }
}
