import type { View } from './view.ts'

type Labels = Readonly<Record<string, string | RegExp>>

/** A number read from a stretch of time, that a person can read too: `query` is the same in PromQL. */
export type Signal = {
  /** The series it is made of, briefly. */
  metric: string
  /** PromQL over the window `$w`. */
  query: string
  /** Names of the metrics it reads. */
  reads: readonly string[]
  /** Null when there was no data, which is not zero. */
  value(view: View): number | null
  /** Whether there were samples at all: a mean of nothing has no value, and lacks nothing. */
  seen(view: View): boolean
}

/** Of one metric. */
const read = (signal: Omit<Signal, 'seen'>): Signal => ({
  ...signal,
  seen: view => signal.value(view) !== null,
})

const selector = (name: string, labels: Labels): string => {
  const matchers = Object.entries(labels).map(([label, value]) =>
    value instanceof RegExp ? `${label}=~"${value.source.replace(/^\^|\$$/g, '')}"` : `${label}="${value}"`,
  )
  return matchers.length === 0 ? name : `${name}{${matchers.join(',')}}`
}

/** Mean over time of a gauge's largest series. */
export const gauge = (name: string, labels: Labels = {}): Signal =>
  read({
    metric: selector(name, labels),
    query: `max(avg_over_time(${selector(name, labels)}[$w]))`,
    reads: [name],
    value: view => view.gauge(name, labels),
  })

/** The same, over all series together. */
export const total = (name: string, labels: Labels = {}): Signal =>
  read({
    metric: selector(name, labels),
    query: `sum(avg_over_time(${selector(name, labels)}[$w]))`,
    reads: [name],
    value: view => view.total(name, labels),
  })

/** Growth of counters a second. */
export const rate = (name: string, labels: Labels = {}): Signal =>
  read({
    metric: selector(name, labels),
    query: `sum(rate(${selector(name, labels)}[$w]))`,
    reads: [name],
    value: view => view.rate(name, labels),
  })

/** Mean of what a histogram observed. */
export const mean = (name: string, labels: Labels = {}): Signal => ({
  ...over(rate(`${name}_sum`, labels), rate(`${name}_count`, labels)),
  metric: selector(name, labels),
})

/** How far a clock is ahead of whoever scraped it. */
export const ahead = (name: string, labels: Labels): Signal =>
  read({
    metric: selector(name, labels),
    query: `max(avg_over_time((${selector(name, labels)} - timestamp(${selector(name, labels)}))[$w:]))`,
    reads: [name],
    value: view => view.ahead(name, labels),
  })

/** A number from others; null when the first has no data, the rest count as 0 without. */
export function combine(
  query: (...queries: string[]) => string,
  compute: (...values: [number, ...number[]]) => number,
  ...[first, ...others]: [Signal, ...Signal[]]
): Signal {
  const all = [first, ...others]
  return {
    metric: first.metric,
    query: query(...all.map(each => each.query)),
    reads: all.flatMap(({ reads }) => reads),
    seen: first.seen,
    value(view) {
      const value = first.value(view)
      if (value === null) return null
      const result = compute(value, ...others.map(other => other.value(view) ?? 0))
      return Number.isFinite(result) ? result : null
    },
  }
}

export const plus = (...signals: [Signal, ...Signal[]]): Signal =>
  combine(
    (...queries) => queries.join(' + '),
    (...values) => values.reduce((a, b) => a + b),
    ...signals,
  )

export const minus = (from: Signal, ...what: Signal[]): Signal =>
  combine(
    (...queries) => `clamp_min(${queries.join(' - ')}, 0)`,
    (value, ...others) => Math.max(0, value - others.reduce((a, b) => a + b, 0)),
    from,
    ...what,
  )

export const times = (one: Signal, other: Signal): Signal =>
  combine(
    (...queries) => queries.map(query => `(${query})`).join(' * '),
    (a, b = 0) => a * b,
    one,
    other,
  )

/** A ratio; null without anything below. */
export const over = (above: Signal, below: Signal): Signal =>
  combine(
    (...queries) => queries.map(query => `(${query})`).join(' / '),
    (a, b = 0) => (b === 0 ? Number.NaN : a / b),
    above,
    below,
  )

/** What is left of 1. */
export const rest = (share: Signal): Signal =>
  combine(
    query => `1 - (${query})`,
    value => 1 - value,
    share,
  )

/** The first of two that has data. */
export const either = (one: Signal, other: Signal): Signal => ({
  metric: one.metric,
  query: `(${one.query}) or (${other.query})`,
  reads: [...one.reads, ...other.reads],
  value: view => one.value(view) ?? other.value(view),
  seen: view => one.seen(view) || other.seen(view),
})

/** The larger of those that have data: a mean is blind to what never ends, an age is a lower bound. */
export const largest = (...signals: [Signal, ...Signal[]]): Signal => ({
  metric: signals[0].metric,
  // `or` takes the first that is there, so the larger is put first.
  query: signals.map(({ query }) => `(${query})`).reduce((a, b) => `(${a} > ${b} or ${b} or ${a})`),
  reads: signals.flatMap(({ reads }) => reads),
  seen: view => signals.some(({ seen }) => seen(view)),
  value(view) {
    const known = signals.map(({ value }) => value(view)).filter(value => value !== null)
    return known.length === 0 ? null : Math.max(...known)
  },
})

/** Under a name of its own, when it is more than its first series. */
export const named = (metric: string, signal: Signal): Signal => ({ ...signal, metric })
