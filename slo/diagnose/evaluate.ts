import { matches } from '../sources/selector.ts'
import type { Expression, Range, Selecting } from './expression.ts'

/** Samples of one metric with one set of labels, ascending; `at` in epoch milliseconds. */
export type Series = {
  name: string
  labels: Readonly<Record<string, string>>
  points: readonly { at: number; value: number }[]
}
/** The series of a metric. */
export type Samples = (metric: string) => readonly Series[]
export type Span = { fromMs: number; toMs: number }

/** A stretch of time in which expressions have a value; `baseline` is what `$b` stands for. */
export type Window = Span & { samples: Samples; baseline: readonly Span[]; known: Map<string, Vector> }

type Element = { labels: Readonly<Record<string, string>>; value: number }
/** Without labels a number and a vector of one element are the same here. */
type Vector = readonly Element[]

export function samplesOf(series: readonly Series[]): Samples {
  const byName = Map.groupBy(series, ({ name }) => name)
  return metric => byName.get(metric) ?? []
}

export const windowOf = (samples: Samples, span: Span, baseline: readonly Span[] = []): Window => ({
  ...span,
  samples,
  baseline,
  known: new Map(),
})

/**
 * The value of an expression in a window: of several series the largest. Undefined: there was no data. Not finite: there
 * was, but nothing to divide by, such as a mean of no calls.
 */
export function valueIn(expression: Expression, window: Window): number | undefined {
  const values = evaluate(expression, window).map(({ value }) => value)
  const known = values.filter(Number.isFinite)
  return known.length > 0 ? Math.max(...known) : values[0]
}

/** The same, of which only a number is of use. */
export function numberIn(expression: Expression, window: Window): number | null {
  const value = valueIn(expression, window)
  return value !== undefined && Number.isFinite(value) ? value : null
}

function evaluate(expression: Expression, window: Window): Vector {
  const known = window.known.get(expression.text)
  if (known) return known
  const vector = compute(expression, window)
  window.known.set(expression.text, vector)
  return vector
}

function compute(expression: Expression, window: Window): Vector {
  switch (expression.kind) {
    case 'number':
      return [{ labels: {}, value: expression.value }]
    case 'selector':
      return overRange(expression, window, [window], points => points.at(-1)?.value)
    case 'range': {
      const spans = spansOf(expression.range, window)
      const { name, of } = expression
      if (name === 'rate' || name === 'increase') return increases(name, of, window, spans)
      return overRange(of, window, spans, points => overTime[name](points.map(({ value }) => value)))
    }
    case 'call':
      return call(expression, window)
    case 'aggregate':
      return aggregate(expression, evaluate(expression.of, window))
    case 'binary':
      return binary(expression, evaluate(expression.left, window), evaluate(expression.right, window))
  }
}

const spansOf = (range: Range, window: Window): readonly Span[] =>
  range === '$w' ? [window] : window.baseline

type Points = Series['points']

const overTime = {
  avg_over_time: (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length,
  max_over_time: (values: number[]) => Math.max(...values),
  min_over_time: (values: number[]) => Math.min(...values),
  last_over_time: (values: number[]) => values.at(-1),
  changes: (values: number[]) => values.filter((value, i) => i > 0 && value !== values[i - 1]).length,
}

const selected = ({ metric, matchers }: Selecting, { samples }: Window): readonly Series[] =>
  samples(metric).filter(({ labels }) => matches({ matchers }, labels))

/** Of each series that has samples in (from, to]; a value that is not finite is no sample. */
function overRange(
  selector: Selecting,
  window: Window,
  spans: readonly Span[],
  value: (points: Points) => number | undefined,
): Vector {
  return selected(selector, window).flatMap(({ labels, points }) => {
    const within = spans.flatMap(span => {
      const from = firstAfter(points, span.fromMs)
      return points.slice(from, firstAfter(points, span.toMs)).filter(each => Number.isFinite(each.value))
    })
    const result = within.length === 0 ? undefined : value(within)
    return result === undefined ? [] : [{ labels, value: result }]
  })
}

/** Index of the first point later than a time. */
function firstAfter(points: Points, atMs: number): number {
  let [low, high] = [0, points.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((points[middle]?.at ?? 0) > atMs) high = middle
    else low = middle + 1
  }
  return low
}

/** Growth of counters, from the last sample before the window on and without extrapolation; a fall is a restart from zero. */
function increases(
  name: 'rate' | 'increase',
  selector: Selecting,
  window: Window,
  spans: readonly Span[],
): Vector {
  const seconds = spans.reduce((sum, { fromMs, toMs }) => sum + (toMs - fromMs) / 1000, 0)
  return selected(selector, window).flatMap(({ labels, points }) => {
    const grown = spans.flatMap(span => increase(points, span) ?? [])
    const all = grown.reduce((a, b) => a + b, 0)
    return grown.length === 0 ? [] : [{ labels, value: name === 'rate' ? all / seconds : all }]
  })
}

/** Undefined without two samples to compare; what happened in a gap longer than the window belongs to none. */
function increase(points: Points, { fromMs, toMs }: Span): number | undefined {
  let grown: number | undefined
  const first = firstAfter(points, fromMs)
  for (let i = Math.max(1, first); i < points.length; i++) {
    const [before, now] = [points[i - 1], points[i]]
    if (!before || !now || now.at > toMs) break
    if (before.at <= fromMs - (toMs - fromMs) || !Number.isFinite(now.value - before.value)) continue
    grown = (grown ?? 0) + (now.value >= before.value ? now.value - before.value : now.value)
  }
  return grown
}

function call({ name, of }: Extract<Expression, { kind: 'call' }>, window: Window): Vector {
  if (name === 'timestamp')
    return overRange(of[0] as Selecting, window, [window], points => (points.at(-1)?.at ?? 0) / 1000)
  const [vector, limit] = of.map(each => evaluate(each, window)) as [Vector, Vector | undefined]
  const bound = limit?.[0]?.value ?? Number.NaN
  const apply = {
    abs: Math.abs,
    clamp_min: (value: number) => Math.max(value, bound),
    clamp_max: (value: number) => Math.min(value, bound),
    vector: (value: number) => value,
    scalar: (value: number) => value,
  }[name]
  if (name === 'scalar' && vector.length !== 1) return [{ labels: {}, value: Number.NaN }]
  return vector.map(({ labels, value }) => ({
    labels: name === 'scalar' ? {} : labels,
    value: apply(value),
  }))
}

function aggregate({ name, by }: Extract<Expression, { kind: 'aggregate' }>, vector: Vector): Vector {
  const kept = (labels: Element['labels']) =>
    Object.fromEntries(by.map(label => [label, labels[label] ?? '']))
  const groups = Map.groupBy(vector, ({ labels }) => by.map(label => labels[label] ?? '').join('\0'))
  return [...groups.values()].map(group => {
    const values = group.map(({ value }) => value)
    const sum = values.reduce((a, b) => a + b, 0)
    const value = { sum, avg: sum / values.length, count: values.length, max: 0, min: 0 }[name]
    const extreme = { max: Math.max, min: Math.min }[name as 'max' | 'min']
    return { labels: kept(group[0]?.labels ?? {}), value: extreme ? extreme(...values) : value }
  })
}

const arithmetic = {
  '+': (a: number, b: number) => a + b,
  '-': (a: number, b: number) => a - b,
  '*': (a: number, b: number) => a * b,
  '/': (a: number, b: number) => a / b,
}
const comparison = {
  '>': (a: number, b: number) => a > b,
  '<': (a: number, b: number) => a < b,
  '>=': (a: number, b: number) => a >= b,
  '<=': (a: number, b: number) => a <= b,
  '==': (a: number, b: number) => a === b,
  '!=': (a: number, b: number) => a !== b,
}

const keyOf = ({ labels }: Element): string =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))

/** A number beside a vector is taken with each element; two vectors by the same labels. */
function binary(
  { name, bool, left, right }: Extract<Expression, { kind: 'binary' }>,
  one: Vector,
  other: Vector,
): Vector {
  const keys = new Map(other.map(each => [keyOf(each), each.value]))
  if (name === 'and') return one.filter(each => keys.has(keyOf(each)))
  if (name === 'or') {
    const has = new Set(one.map(keyOf))
    return [...one, ...other.filter(each => !has.has(keyOf(each)))]
  }
  const scalars = [isScalar(left), isScalar(right)]
  const [a0, b0] = [one[0]?.value ?? Number.NaN, other[0]?.value ?? Number.NaN]
  const pairs = scalars[0]
    ? other.map(({ labels, value }) => ({ labels, kept: value, a: a0, b: value }))
    : one.flatMap(each => {
        const b = scalars[1] ? b0 : keys.get(keyOf(each))
        return b === undefined ? [] : [{ labels: each.labels, kept: each.value, a: each.value, b }]
      })
  if (name in arithmetic) {
    const compute = arithmetic[name as keyof typeof arithmetic]
    return pairs.map(({ labels, a, b }) => ({ labels, value: compute(a, b) }))
  }
  const holds = comparison[name as keyof typeof comparison]
  return pairs.flatMap(({ labels, kept, a, b }) =>
    bool ? [{ labels, value: Number(holds(a, b)) }] : holds(a, b) ? [{ labels, value: kept }] : [],
  )
}

const isScalar = (expression: Expression): boolean =>
  expression.kind === 'number' ||
  (expression.kind === 'call' && expression.name === 'scalar') ||
  (expression.kind === 'binary' && isScalar(expression.left) && isScalar(expression.right))
