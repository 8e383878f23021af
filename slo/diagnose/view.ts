/** Samples of some metrics over a time; what a recorder or Prometheus hands to diagnose. */
export type Series = {
  name: string
  labels: Readonly<Record<string, string>>
  /** Ascending; `at` in epoch milliseconds. */
  points: readonly { at: number; value: number }[]
}

type Labels = Readonly<Record<string, string | RegExp>>

/** What one stretch of time says; null where there was no data, which is not zero. */
export type View = {
  fromMs: number
  toMs: number
  /** Growth of counters a second, summed over series; a restart counts from zero. */
  rate(metric: string, labels?: Labels): number | null
  /** Mean of a gauge over time, its largest series. */
  gauge(metric: string, labels?: Labels): number | null
  /** The largest value that any series of a gauge had. */
  peak(metric: string, labels?: Labels): number | null
  /** Mean of a gauge over time, summed over its series. */
  total(metric: string, labels?: Labels): number | null
  /** Mean seconds by which a gauge that holds a clock is ahead of whoever read it. */
  ahead(clock: string, labels?: Labels): number | null
  /** The last values of a gauge, one a series. */
  last(metric: string, labels?: Labels): number[]
  /** Mean of what a histogram observed: growth of its sum by growth of its count. */
  mean(histogram: string, labels?: Labels): number | null
  /** The values that a label had. */
  values(metric: string, label: string): string[]
}

/** The series of one name, found at once: a verdict asks some hundred times. */
export function index(series: readonly Series[]): (name: string, labels?: Labels) => Series[] {
  const byName = Map.groupBy(series, ({ name }) => name)
  return (name, labels = {}) => (byName.get(name) ?? []).filter(each => matches(each.labels, labels))
}

const matches = (labels: Series['labels'], wanted: Labels): boolean =>
  Object.entries(wanted).every(([name, value]) =>
    value instanceof RegExp ? value.test(labels[name] ?? '') : labels[name] === value,
  )

export function view(select: ReturnType<typeof index>, fromMs: number, toMs: number): View {
  const within = ({ points }: Series) =>
    points.filter(({ at, value }) => at > fromMs && at <= toMs && Number.isFinite(value))
  const means = (metric: string, labels?: Labels): number[] =>
    select(metric, labels).flatMap(series => {
      const values = within(series).map(({ value }) => value)
      return values.length === 0 ? [] : [values.reduce((a, b) => a + b, 0) / values.length]
    })
  const rate: View['rate'] = (metric, labels) => {
    const grown = select(metric, labels).flatMap(series => increase(series, fromMs, toMs) ?? [])
    return grown.length === 0 ? null : grown.reduce((a, b) => a + b, 0) / ((toMs - fromMs) / 1000)
  }
  return {
    fromMs,
    toMs,
    rate,
    gauge: (metric, labels) => largest(means(metric, labels)),
    peak: (metric, labels) =>
      largest(select(metric, labels).flatMap(series => within(series).map(({ value }) => value))),
    total: (metric, labels) => sum(means(metric, labels)),
    ahead: (clock, labels) =>
      largest(
        select(clock, labels).flatMap(series => {
          const seconds = within(series).map(({ at, value }) => value - at / 1000)
          return seconds.length === 0 ? [] : [seconds.reduce((a, b) => a + b, 0) / seconds.length]
        }),
      ),
    last: (metric, labels) => select(metric, labels).flatMap(series => within(series).at(-1)?.value ?? []),
    mean(histogram, labels) {
      const [seconds, count] = [rate(`${histogram}_sum`, labels), rate(`${histogram}_count`, labels)]
      return seconds === null || !count ? null : seconds / count
    },
    values: (metric, label) => [
      ...new Set(
        select(metric)
          .filter(series => within(series).length > 0)
          .map(({ labels }) => labels[label] ?? ''),
      ),
    ],
  }
}

const largest = (values: number[]): number | null => (values.length === 0 ? null : Math.max(...values))
const sum = (values: number[]): number | null =>
  values.length === 0 ? null : values.reduce((a, b) => a + b, 0)

/** Growth in (from, to], from the sample before; undefined without two samples to compare. */
function increase({ points }: Series, fromMs: number, toMs: number): number | undefined {
  let grown: number | undefined
  for (let i = 1; i < points.length; i++) {
    const [before, now] = [points[i - 1], points[i]]
    if (!before || !now || now.at <= fromMs || now.at > toMs) continue
    grown = (grown ?? 0) + (now.value >= before.value ? now.value - before.value : now.value)
  }
  return grown
}
