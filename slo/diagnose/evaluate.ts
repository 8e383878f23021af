import type { Labels, Selector, Series } from '../sources/index.ts'
import { matches } from '../sources/selector.ts'

type Points = Series['points']
export type Samples = (metric: string) => readonly Series[]
export type TimeRange = { fromMs: number; toMs: number }

/** A span of time in which expressions are evaluated. `baseline` is the value of `$b`. */
export type Window = TimeRange & {
  samples: Samples
  baseline: readonly TimeRange[]
  /** Values of expressions in the window, by their text; `knownAgainst`: of those that read the baseline. */
  known: Map<string, Value>
  knownAgainst: Map<string, Value>
}

type Element = { labels: Labels; value: number }
export type Vector = readonly Element[]
export type Value = { vector: Vector; isScalar: boolean }
export const vectorValue = (vector: Vector): Value => ({ vector, isScalar: false })
/** A number is a vector of one element without labels. */
export const scalar = (value: number): Value => ({ vector: [{ labels: {}, value }], isScalar: true })

export function samplesOf(series: readonly Series[]): Samples {
  const byName = Map.groupBy(series, ({ name }) => name)
  return metric => byName.get(metric) ?? []
}

export function windowOf(samples: Samples, span: TimeRange, baseline: readonly TimeRange[] = []): Window {
  return { ...span, samples, baseline, known: new Map(), knownAgainst: new Map() }
}

type OverRange = (selector: Selector, window: Window, spans: readonly TimeRange[]) => Vector

const selected = ({ metric, matchers }: Selector, { samples }: Window): readonly Series[] =>
  samples(metric).filter(({ labels }) => matches({ matchers }, labels))

/** Applies a function to each series with samples in the spans (from, to]. Values that are not finite are ignored. */
const overWindow =
  (compute: (points: Points, values: number[]) => number): OverRange =>
  (selector, window, spans) =>
    selected(selector, window).flatMap(({ labels, points }) => {
      const within = spans
        .flatMap(({ fromMs, toMs }) => points.slice(firstAfter(points, fromMs), firstAfter(points, toMs)))
        .filter(({ value }) => Number.isFinite(value))
      const values = within.map(({ value }) => value)
      return within.length === 0 ? [] : [{ labels, value: compute(within, values) }]
    })

function firstAfter(points: Points, atMs: number): number {
  let [low, high] = [0, points.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((points[middle]?.at ?? 0) > atMs) high = middle
    else low = middle + 1
  }
  return low
}

/** Growth of counters from the last sample before the window, without extrapolation. A fall is a restart from zero. */
const growth =
  (isRate: boolean): OverRange =>
  (selector, window, spans) => {
    const seconds = spans.reduce((sum, { fromMs, toMs }) => sum + (toMs - fromMs) / 1000, 0)
    return selected(selector, window).flatMap(({ labels, points }) => {
      const grown = spans.flatMap(span => increase(points, span) ?? [])
      const all = grown.reduce((a, b) => a + b, 0)
      return grown.length === 0 ? [] : [{ labels, value: isRate ? all / seconds : all }]
    })
  }

/** Undefined without two samples. Growth over a gap longer than the window is not counted. */
function increase(points: Points, { fromMs, toMs }: TimeRange): number | undefined {
  let grown: number | undefined
  for (let i = Math.max(1, firstAfter(points, fromMs)); i < points.length; i++) {
    const [before, now] = [points[i - 1], points[i]]
    if (!before || !now || now.at > toMs) break
    if (before.at <= fromMs - (toMs - fromMs) || !Number.isFinite(now.value - before.value)) continue
    grown = (grown ?? 0) + (now.value >= before.value ? now.value - before.value : now.value)
  }
  return grown
}

export const increaseIn = growth(false)

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
/** The value of a selector without a range: its last sample in the window. */
export const lastSample = overWindow((_, values) => values.at(-1) ?? NaN)

export const rangeFunctions: Readonly<Record<string, OverRange>> = {
  rate: growth(true),
  increase: increaseIn,
  changes: overWindow((_, values) => values.filter((value, i) => i > 0 && value !== values[i - 1]).length),
  avg_over_time: overWindow((_, values) => sum(values) / values.length),
  max_over_time: overWindow((_, values) => Math.max(...values)),
  min_over_time: overWindow((_, values) => Math.min(...values)),
  last_over_time: lastSample,
  timestamp: overWindow(points => (points.at(-1)?.at ?? 0) / 1000),
}

const each =
  (compute: (value: number, bound: number) => number) =>
  (vector: Vector, bounds: Vector = []): Vector =>
    vector.map(({ labels, value }) => ({ labels, value: compute(value, bounds[0]?.value ?? NaN) }))

export const functions: Readonly<Record<string, (...values: [Vector, Vector?]) => Vector>> = {
  abs: each(Math.abs),
  clamp_min: each(Math.max),
  clamp_max: each(Math.min),
  vector: each(value => value),
  scalar: vector => scalar(vector.length === 1 ? (vector[0] as Element).value : NaN).vector,
}

/** The values without NaN, which max and min ignore unless all values are NaN. */
function numbersIn(values: readonly number[]): readonly number[] {
  const known = values.filter(value => !Number.isNaN(value))
  return known.length > 0 ? known : values
}

export const aggregations: Readonly<Record<string, (values: readonly number[]) => number>> = {
  sum,
  max: values => Math.max(...numbersIn(values)),
  min: values => Math.min(...numbersIn(values)),
  avg: values => sum(values) / values.length,
  count: values => values.length,
}

export function aggregate(name: string, by: readonly string[], vector: Vector): Vector {
  const groups = Map.groupBy(vector, ({ labels }) => by.map(label => labels[label] ?? '').join('\0'))
  return [...groups.values()].map(group => {
    const [first] = group as [Element]
    // A label with an empty value counts as missing.
    const labels = Object.fromEntries(
      by.flatMap(label => (first.labels[label] ? [[label, first.labels[label]]] : [])),
    )
    const values = group.map(({ value }) => value)
    return { labels, value: aggregations[name]?.(values) ?? NaN }
  })
}

export const operators: Readonly<Record<string, (a: number, b: number) => number | boolean>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
}

const keyOf = ({ labels }: Element): string =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))

/** Combines a number with each element of a vector, or two vectors by equal labels. */
export function combine(name: string, bool: boolean, one: Value, other: Value): Value {
  const others = new Map(other.vector.map(each => [keyOf(each), each.value]))
  if (name === 'and') return vectorValue(one.vector.filter(each => others.has(keyOf(each))))
  if (name === 'or') {
    const has = new Set(one.vector.map(keyOf))
    return vectorValue([...one.vector, ...other.vector.filter(each => !has.has(keyOf(each)))])
  }
  const number = ({ vector }: Value) => vector[0]?.value ?? NaN
  const turned = one.isScalar && !other.isScalar
  const vector = (turned ? other : one).vector.flatMap(each => {
    const beside = turned ? number(one) : other.isScalar ? number(other) : others.get(keyOf(each))
    if (beside === undefined) return []
    const result = turned ? operators[name]?.(beside, each.value) : operators[name]?.(each.value, beside)
    if (typeof result === 'boolean' && !bool) return result ? [each] : []
    return [{ labels: each.labels, value: Number(result) }]
  })
  return { vector, isScalar: one.isScalar && other.isScalar }
}
