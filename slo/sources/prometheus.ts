import { countLimit, limits } from '@tintype/lib/limits.ts'
import { increase, isCounterValue, minuteOf, ordered, ratioSlot, type Sample } from './counter.ts'
import {
  type Counter,
  type Minute,
  type RatioSli,
  type Sli,
  type Slot,
  type Source,
  SourceError,
  type ThresholdSli,
} from './index.ts'
import { type Matrix, type PrometheusApi, prometheusApi } from './prometheus-api.ts'
import { formatSelector, type Scope, selectorsOf, unscoped } from './promql.ts'
import { over, readings } from './ranges.ts'
import { matches } from './selector.ts'

/** Prometheus answers at most 11,000 points a series; fewer keep the memory of an answer small. */
const maxPoints = 2_500
/** Raw samples are fetched in pieces of at most a day; irregular minutes this close share a request. */
const maxRawMinutes = 1_440
const joinMinutes = 30
/** How far back the start of the SLO is looked for: the longest objective window. */
const seenDays = 90
/** Just under a minute: Prometheus 2 would count a sample at the very start of a closed range, 3 would not. */
const oneMinute = '59s999ms'

/** What a series’ counter read last in each minute of a range; NaN where it was not read. */
type Lasts = { labels: Record<string, string>; values: Float64Array }
type Range = { from: Minute; to: Minute }

/** The source over Prometheus’ HTTP API, version 2 or 3. */
export function openPrometheus(url: string, scope: Scope = unscoped): Source {
  const reading: Reading = { api: prometheusApi(url, scope), replicaLabels: scope.replicaLabels }
  const { api } = reading
  return {
    async slots(sli, from, to) {
      if (to <= from) return []
      return sli.kind === 'ratio'
        ? ratioSlots(reading, sli, { from, to })
        : thresholdSlots(api, sli, { from, to })
    },
    async seenBefore(sli, minute) {
      const query =
        sli.kind === 'ratio'
          ? `max(max_over_time(${over(sli.total, `${seenDays}d`, 3600)})) > 0`
          : `count(count_over_time((${sli.gauge})[${seenDays}d:1h]))`
      return (await api.query(query, minute * 60)).length > 0
    },
    labelValues: (sli, label, from, to) =>
      api.labelValues(label, selectorsOf(totalOf(sli)), from * 60, to * 60),
    close: async () => {},
  }
}

type Reading = { api: PrometheusApi; replicaLabels: readonly string[] }

const totalOf = (sli: Sli): string => (sli.kind === 'ratio' ? sli.total.promql : sli.gauge)

async function ratioSlots(reading: Reading, sli: RatioSli, { from, to }: Range): Promise<Slot[]> {
  const { counts, part, total, maxGapSeconds } = sli
  const range = { from: from - Math.ceil(maxGapSeconds / 60) - 1, to }
  const totals = await readIncreases(reading, total, maxGapSeconds, range)
  const known = part.selector && part.selector.metric === total.selector?.metric ? part.selector : undefined
  const parts = known
    ? totals.filter(({ labels }) => matches(known, labels))
    : await readIncreases(reading, part, maxGapSeconds, range)
  const [partSums, totalSums] = [sum(parts, range), sum(totals, range)]
  return Array.from(totalSums, (count, i) =>
    ratioSlot(counts, range.from + i, partSums[i] ?? 0, count),
  ).slice(from - range.from)
}

async function thresholdSlots(api: PrometheusApi, sli: ThresholdSli, range: Range): Promise<Slot[]> {
  const slots = Array.from({ length: range.to - range.from }, (_, i): Slot => {
    return { start: range.from + i, good: 0, total: 0, unknown: true }
  })
  for (const isGood of [true, false])
    for await (const { values } of byMinute(api, `sum(${readings(sli, isGood)})`, range))
      for (const [seconds, value] of values) {
        const slot = slots[seconds / 60 - 1 - range.from]
        if (!slot) continue
        slot.total += Number(value)
        slot.good += isGood ? Number(value) : 0
        slot.unknown = false
      }
  return slots
}

type Increases = { labels: Record<string, string>; counts: Float64Array }

function sum(series: readonly Increases[], { from, to }: Range): Float64Array {
  const sums = new Float64Array(to - from)
  for (const { counts } of series)
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] ?? 0) + (counts[i] ?? 0)
  return sums
}

/**
 * What each series grew in each minute. All samples would be four times the bytes that are needed: the last of
 * each minute says how much was counted in it, except where a counter was reset or a series appeared. Those
 * minutes are fetched whole.
 */
async function readIncreases(
  reading: Reading,
  counter: Counter,
  maxGapSeconds: number,
  range: Range,
): Promise<Increases[]> {
  const { api } = reading
  if (counter.selector) {
    const text = formatSelector(counter.selector)
    const known = await api.series(text, range.from * 60, range.to * 60)
    if (known > limits.readSeries.value) {
      countLimit('readSeries')
      throw new SourceError(
        `${text} has ${known} series, more than ${limits.readSeries.value}: a label of it is unbounded`,
      )
    }
  }
  const [lasts, resets] = await Promise.all([
    readLasts(reading, counter, range),
    readResets(api, counter, range),
  ])
  const irregular = new Set(resets)
  for (const { values } of lasts.values()) addIrregular(irregular, values, range.from)
  const raw = await readRaw(reading, counter, irregular)
  return [...lasts].map(([key, { labels, values }]) => ({
    labels,
    counts: countsOf(values, raw.get(key) ?? new Map(), irregular, maxGapSeconds, range),
  }))
}

/** Each minute is its last sample, taken as read at its end, or all of its samples. */
function countsOf(
  lasts: Float64Array,
  raw: Map<Minute, Sample[]>,
  irregular: Set<Minute>,
  maxGapSeconds: number,
  { from }: Range,
): Float64Array {
  const counts = new Float64Array(lasts.length)
  let previous: Sample | undefined
  lasts.forEach((value, i) => {
    const minute = from + i
    const whole = irregular.has(minute)
    const samples = whole ? ordered(raw.get(minute) ?? []) : [{ timeMs: (minute + 1) * 60_000, value }]
    for (const sample of samples.filter(each => isCounterValue(each.value))) {
      counts[i] = (counts[i] ?? 0) + increase(previous, sample, maxGapSeconds)
      previous = sample
    }
  })
  return counts
}

/** Adds the minutes of which the last sample does not tell all: after and before a gap, and where it is no number. */
function addIrregular(irregular: Set<Minute>, values: Float64Array, from: Minute): void {
  let previous = -1
  values.forEach((value, i) => {
    if (Number.isNaN(value)) return
    if (!isCounterValue(value)) irregular.add(from + i)
    if (previous !== i - 1 || i === 0) {
      irregular.add(from + i)
      if (previous >= 0) irregular.add(from + previous)
    }
    previous = i
  })
}

async function readLasts(
  { api, replicaLabels }: Reading,
  counter: Counter,
  range: Range,
): Promise<Map<string, Lasts>> {
  const all = new Map<string, Lasts>()
  for await (const { metric, values } of byMinute(
    api,
    `last_over_time(${over(counter, oneMinute)})`,
    range,
  )) {
    const { key, labels } = identity(metric, replicaLabels)
    const lasts = all.get(key) ?? { labels, values: new Float64Array(range.to - range.from).fill(Number.NaN) }
    // A NaN that was read is not a minute without a sample: it is looked at closely, as an infinity is.
    for (const [seconds, value] of values)
      lasts.values[seconds / 60 - 1 - range.from] =
        value === 'NaN' ? Number.NEGATIVE_INFINITY : toNumber(value)
    all.set(key, lasts)
  }
  return all
}

async function readResets(api: PrometheusApi, counter: Counter, range: Range): Promise<Minute[]> {
  const minutes: Minute[] = []
  for await (const { values } of byMinute(api, `resets(${over(counter, '2m')}) > 0`, range))
    minutes.push(...values.map(([seconds]) => seconds / 60 - 1))
  return minutes
}

async function readRaw({ api, replicaLabels }: Reading, counter: Counter, minutes: Set<Minute>) {
  const all = new Map<string, Map<Minute, Sample[]>>()
  for (const { from, to } of spans([...minutes].sort((a, b) => a - b))) {
    for (const { metric, values } of await api.query(over(counter, `${(to - from) * 60}s`), to * 60)) {
      const { key } = identity(metric, replicaLabels)
      const byMinute = all.get(key) ?? new Map<Minute, Sample[]>()
      for (const [seconds, value] of values) {
        const sample = { timeMs: Math.round(seconds * 1000), value: toNumber(value) }
        const minute = minuteOf(sample.timeMs)
        // A sample at the very start belongs to the minute before, and is among that one’s when it is wanted.
        if (minute >= from) byMinute.set(minute, [...(byMinute.get(minute) ?? []), sample])
      }
      all.set(key, byMinute)
    }
  }
  return all
}

/** Minutes that are close together, as ranges. */
function spans(minutes: readonly Minute[]): Range[] {
  const result: Range[] = []
  for (const minute of minutes) {
    const last = result.at(-1)
    if (last && minute - last.to < joinMinutes && minute - last.from < maxRawMinutes) last.to = minute + 1
    else result.push({ from: minute, to: minute + 1 })
  }
  return result
}

/** A query at the end of each minute, piece by piece: 90 days at once would be hundreds of megabytes. */
async function* byMinute(
  api: PrometheusApi,
  query: string,
  { from, to }: Range,
): AsyncGenerator<Matrix[number]> {
  for (let start = from; start < to; start += maxPoints)
    yield* await api.range(query, (start + 1) * 60, Math.min(start + maxPoints, to) * 60, 60)
}

/** A series without its name and without what tells the copies of a pair apart: these are one series. */
function identity({ __name__: _, ...labels }: Record<string, string>, replicaLabels: readonly string[]) {
  for (const label of replicaLabels) delete labels[label]
  return { key: JSON.stringify(labels), labels }
}

const toNumber = (value: string): number => Number(value.replace('Inf', 'Infinity'))
