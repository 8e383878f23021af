import type { Selector } from '../sources/index.ts'
import { errorAt, parseSelector } from '../sources/promql.ts'
import { type Node, onceEach, treeOf } from '../sources/promql-tree.ts'
import * as vectors from './evaluate.ts'
import { type Value, type Vector, vectorValue, type Window } from './evaluate.ts'

type Part = { kind: string; text: string; parts: readonly Part[]; selector: Selector | undefined }

/** `$w` is the examined window, `$b` those of the baseline. The parser needs ranges, here of the same length. */
const ranges = { $w: '1w', $b: '1y' } as const

export class ExpressionError extends Error {}

/**
 * The value of an expression in a window, the largest of several series. Undefined without data, and of an empty text.
 * Not finite when there was data but nothing to divide by, as for a mean of no calls.
 */
export function valueIn(text: string | undefined, window: Window): number | undefined {
  if (!text) return undefined
  const values = parseExpression(text)
    .vectorIn(window)
    .map(({ value }) => value)
  const known = values.filter(Number.isFinite)
  return known.length > 0 ? Math.max(...known) : values[0]
}

/** Like `valueIn`; null when the value is not finite. */
export function numberIn(text: string | undefined, window: Window): number | null {
  const value = valueIn(text, window)
  return value !== undefined && Number.isFinite(value) ? value : null
}

/** @throws ExpressionError */
export const parseExpression = onceEach(text => {
  const parsed = text.replaceAll(/\$[wb]\b/g, name => ranges[name as keyof typeof ranges])
  const wrong = errorAt(parsed)
  if (wrong !== undefined) fail(`this is not PromQL from here on: “${text.slice(wrong)}”`)
  const whole = partOf(treeOf(parsed).topNode, text)
  // Evaluation without samples also reaches each part that slo cannot evaluate.
  const nowhere = vectors.windowOf(() => [], { fromMs: 0, toMs: 0 })
  evaluate(whole, nowhere)
  return { selectors: selectorsIn(whole), vectorIn: (window: Window) => evaluate(whole, window).vector }
})

/** The parser was given the text with other ranges of the same length. */
function partOf({ name: kind, from, to, firstChild }: Node, written: string): Part {
  const text = written.slice(from, to)
  const parts: Part[] = []
  for (let child = firstChild; child; child = child.nextSibling)
    if (child.name !== 'LineComment') parts.push(partOf(child, written))
  return { kind, text, parts, selector: kind === 'VectorSelector' ? parseSelector(text) : undefined }
}

const selectorsIn = ({ selector, parts }: Part): Selector[] =>
  selector ? [selector] : parts.flatMap(selectorsIn)

function fail(message: string): never {
  throw new ExpressionError(message)
}

function evaluate(part: Part, window: Window): Value {
  const known = part.text.includes('$b') ? window.knownAgainst : window.known
  const evaluator = evaluators[part.kind] ?? fail(`${part.kind} is not part of the PromQL that slo evaluates`)
  return known.getOrInsertComputed(part.text, () => evaluator(part, window))
}

const functionNames = [...Object.keys(vectors.functions), ...Object.keys(vectors.rangeFunctions)]
const aggregationNames = Object.keys(vectors.aggregations)
const operatorNames = [...Object.keys(vectors.operators), 'or', 'and']

const inner = ({ parts: [only] }: Part, window: Window): Value => evaluate(only as Part, window)

const evaluators: Readonly<Record<string, (part: Part, window: Window) => Value>> = {
  PromQL: inner,
  ParenExpr: inner,
  NumberDurationLiteral: number,
  UnaryExpr: number,
  VectorSelector: (part, window) => vectorValue(vectors.lastSample(selectorOf(part), window, [window])),
  FunctionCall(part, window) {
    const [identifier, body] = part.parts as [Part, Part]
    const given = body.parts
    const name = oneOf(identifier, functionNames, 'the function')
    const compute = vectors.functions[name]
    if (!compute) return vectorValue(overTime(name, given, window))
    const [count, words] = name.startsWith('clamp') ? [2, 'two values'] : [1, 'one value']
    if (given.length !== count) fail(`${name} takes ${words}`)
    const [vector, bounds] = given.map(each => evaluate(each, window).vector)
    return { vector: compute(vector as Vector, bounds), isScalar: name === 'scalar' }
  },
  AggregateExpr(part, window) {
    const name = oneOf(part.parts[0] as Part, aggregationNames, 'the aggregation')
    const modifier = childOf(part, 'AggregateModifier')
    if (modifier && !childOf(modifier, 'By')) fail('slo aggregates by labels, not without')
    const by = childOf(modifier, 'GroupingLabels')?.parts.map(({ text }) => text) ?? []
    const [of] = childOf(part, 'FunctionCallBody')?.parts ?? []
    const { vector } = evaluate(of ?? fail(`${name} takes one value`), window)
    return vectorValue(vectors.aggregate(name, by, vector))
  },
  BinaryExpr(part, window) {
    const [left, operator, modifier] = part.parts as [Part, Part, Part]
    const matching = childOf(part, 'MatchingModifierClause')
    if (matching) fail('slo matches series by equal labels, without on, ignoring or group')
    const name = oneOf(operator, operatorNames, 'the operator')
    const [one, other] = [evaluate(left, window), evaluate(part.parts.at(-1) as Part, window)]
    return vectors.combine(name, modifier.kind === 'BoolModifier', one, other)
  },
}

const childOf = (part: Part | undefined, kind: string) => part?.parts.find(each => each.kind === kind)

const selectorOf = (part: Part): Selector =>
  part.selector ?? fail(`${part.text} is not the name of a metric with matchers label="value"`)

function oneOf(part: Part, names: readonly string[], what: string): string {
  const name = part.text.toLowerCase()
  if (names.includes(name)) return name
  return fail(`${what} ${name} is not one that slo evaluates: ${names.join(', ')}`)
}

function number(part: Part): Value {
  const value = Number(part.text)
  if (Number.isNaN(value)) fail(`${part.text} is not a number: only a number may have a sign`)
  return vectors.scalar(value)
}

function overTime(name: string, [matrix, second]: readonly Part[], window: Window): Vector {
  const [of, range] = matrix?.kind === 'MatrixSelector' ? matrix.parts : [matrix]
  const isTime = name === 'timestamp'
  const hasItsRange = isTime ? !range : range?.text === '$w' || range?.text === '$b'
  const takes = isTime ? 'a selector' : 'a selector over [$w], the window, or [$b], the baseline'
  if (of?.kind !== 'VectorSelector' || second || !hasItsRange) return fail(`${name} takes ${takes}`)
  const spans = range?.text === '$b' ? window.baseline : [window]
  return vectors.rangeFunctions[name]?.(selectorOf(of), window, spans) ?? []
}
