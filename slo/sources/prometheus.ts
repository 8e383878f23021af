import { countLimit, limits } from '@tintype/lib/limits.ts'
import { increase, minuteOf, ordered, ratioSlot, type Sample, unknownSlots } from './counter.ts'
import {
  type Counter,
  type Minute,
  type RatioSli,
  type Selector,
  type Series,
  type Slot,
  type Source,
  SourceError,
  type ThresholdSli,
} from './index.ts'
import { type PrometheusApi, prometheusApi } from './prometheus-api.ts'
import { formatMatcher, formatSelector, type Scope, selectorsOf, unscoped } from './promql.ts'
import { growth, rangeOf, readings } from './ranges.ts'
import { matches } from './selector.ts'

/** Prometheus answers at most 11,000 points a series; fewer keep the memory of an answer small. */
const maxPoints = 2_500
/** Samples of one answer: about 20 MB of memory. */
const maxSamples = 200_000
/** Of a counter whose samples are computed, how many series are expected. */
const computedSeries = 100
/** Ten minutes, as of an expression: a longer range costs the server a read of all its samples at each step. */
const maxSummedGapSeconds = 600
/** Two scrapes or steps are never closer together. */
const samplesAMinute = 6
/** How far back the start of the SLO is looked for: the longest objective window. */
const seenDays = 90
/** Mimir refuses a query over more than 32 days. */
const daysAtOnce = 30
/** Metrics read at once: each answer is limited to `limits.readSeries` series. */
const metricsAtOnce = 10

type Range = { from: Minute; to: Minute }
/** What a counter grew in each minute. `labels`: of one of its series; null: of all together. */
type Increases = { labels: Series['labels'] | null; counts: Float64Array }

/** The source over Prometheus’ HTTP API, version 2 or 3. */
export function openPrometheus(url: string, scope: Scope = unscoped): Source {
  const api = prometheusApi(url, scope)
  return {
    async slots(sli, from, to) {
      if (to <= from) return []
      return sli.kind === 'ratio'
        ? ratioSlots(api, sli, { from, to })
        : thresholdSlots(api, sli, { from, to })
    },
    async seenBefore(sli, minute) {
      const query =
        sli.kind === 'ratio'
          ? `max(max_over_time(${rangeOf(sli.total, `${daysAtOnce}d`, 3600)})) > 0`
          : `count(count_over_time((${sli.gauge})[${daysAtOnce}d:1h]))`
      for (let days = 0; days < seenDays; days += daysAtOnce)
        if (await api.any(query, minute * 60 - days * 86_400)) return true
      return false
    },
    labelValues: (sli, label, from, to) => {
      const total = sli.kind === 'ratio' ? sli.total.promql : sli.gauge
      return api.labelValues(label, selectorsOf(total), from * 60, to * 60)
    },
    now: api.now,
    async series(metrics, fromMs, toMs, stepMs, jobsOf = () => '') {
      const all: Series[] = []
      const atOnce = stepMs === undefined ? metricsAtOnce : 1
      for (const [jobs, names] of Map.groupBy(metrics, jobsOf))
        for (let i = 0; i < names.length; i += atOnce) {
          const read = names.slice(i, i + atOnce)
          const selector = `{__name__=~"${read.join('|')}"${jobs && `,job=~${JSON.stringify(jobs)}`}}`
          const answered = await (stepMs === undefined
            ? api.query(`${selector}[${Math.ceil((toMs - fromMs) / 1000)}s]`, toMs / 1000)
            : api.range(selector, fromMs / 1000, toMs / 1000, stepMs / 1000))
          // An aggregation over the copies of a pair drops the name.
          for (const { labels: named, samples } of answered) {
            const { __name__: name = String(read[0]), ...labels } = named
            all.push({ name, labels, points: samples.map(({ timeMs: at, value }) => ({ at, value })) })
          }
        }
      return all
    },
    close: async () => {},
  }
}

type Reading = Range & { api: PrometheusApi; maxGapSeconds: number }

async function ratioSlots(
  api: PrometheusApi,
  { counts, part, total, maxGapSeconds }: RatioSli,
  { from, to }: Range,
): Promise<Slot[]> {
  const reading = { api, maxGapSeconds, from: from - Math.ceil(maxGapSeconds / 60) - 1, to }
  const totals = await readIncreases(reading, total, limits.readSeries.value)
  const isSummed = totals.some(({ labels }) => labels === null)
  const within = part.selector && total.selector && isWithin(part.selector, total.selector) && part.selector
  const parts =
    within && !isSummed
      ? totals.filter(({ labels }) => matches(within, labels ?? {}))
      : // The part of a sum is a sum: read otherwise it could be larger than the whole.
        await readIncreases(reading, part, isSummed ? 0 : limits.readSeries.value)
  const sum = (series: readonly Increases[], minute: Minute) =>
    series.reduce((all, { counts }) => all + (counts[minute - reading.from] ?? 0), 0)
  return Array.from({ length: to - from }, (_, i) =>
    ratioSlot(counts, from + i, sum(parts, from + i), sum(totals, from + i)),
  )
}

/** Whether a selector means no series but some of another’s. */
const isWithin = (part: Selector, total: Selector): boolean =>
  part.metric === total.metric &&
  total.matchers.every(each => part.matchers.some(other => formatMatcher(other) === formatMatcher(each)))

/** What a counter grew, of each series, or of all together when there are more than `most`. */
async function readIncreases(reading: Reading, counter: Counter, most: number): Promise<Increases[]> {
  const { api, from, to } = reading
  if (!counter.selector) return readEach(reading, counter, computedSeries)
  const series = await api.series(formatSelector(counter.selector), from * 60, to * 60)
  return series > most ? [await readSum(reading, counter, series)] : readEach(reading, counter, series)
}

/** What each series grew in each minute, from all its samples, piece by piece. */
async function readEach(
  { api, maxGapSeconds, from, to }: Reading,
  counter: Counter,
  series: number,
): Promise<Increases[]> {
  const piece = Math.max(60, Math.floor(maxSamples / samplesAMinute / Math.max(1, series)))
  const all = new Map<string, Increases & { last?: Sample | undefined }>()
  for (let start = from; start < to; start += piece) {
    const end = Math.min(start + piece, to)
    for (const { labels, samples } of await api.query(rangeOf(counter, `${(end - start) * 60}s`), end * 60)) {
      const key = JSON.stringify(labels)
      const known = all.get(key) ?? { labels, counts: new Float64Array(to - from), last: undefined }
      all.set(key, known)
      for (const sample of ordered(samples)) {
        // Prometheus 2 also gives a sample at the very start of a range: it belongs to the piece before.
        if (sample.timeMs <= start * 60_000) continue
        const minute = minuteOf(sample.timeMs) - from
        known.counts[minute] =
          (known.counts[minute] ?? 0) + increase(known.last, sample, maxGapSeconds, !counter.selector)
        known.last = sample
      }
    }
  }
  return [...all.values()]
}

/**
 * What a counter of too many series grew in each minute, as Prometheus sums it: from the last sample of each minute, so that the
 * events between that and a restart in the same minute are missing.
 */
async function readSum(
  { api, maxGapSeconds, from, to }: Reading,
  counter: Counter,
  series: number,
): Promise<Increases> {
  countLimit('readSeries')
  const summed = `sum(${growth(counter, `${Math.min(maxGapSeconds, maxSummedGapSeconds)}s`, '1m')} >= 0 < +Inf)`
  if (series * (to - from) > limits.readSummed.value * 1e6) {
    countLimit('readSummed')
    throw new SourceError(
      `${counter.promql} has ${series} series in ${to - from} minutes, more than can be summed: count a recording rule of their sum`,
    )
  }
  const counts = new Float64Array(to - from)
  const piece = Math.min(maxPoints, Math.max(10, Math.floor(maxSamples / series)))
  for (let start = from; start < to; start += piece) {
    const [sum] = await api.range(summed, (start + 1) * 60, Math.min(start + piece, to) * 60, 60)
    for (const { timeMs, value } of sum?.samples ?? []) counts[minuteOf(timeMs) - from] = value
  }
  return { labels: null, counts }
}

async function thresholdSlots(api: PrometheusApi, sli: ThresholdSli, { from, to }: Range): Promise<Slot[]> {
  const slots = unknownSlots(from, to)
  for (const isGood of [true, false])
    for (let start = from; start < to; start += maxPoints) {
      const end = Math.min(start + maxPoints, to)
      const [sum] = await api.range(`sum(${readings(sli, isGood)})`, (start + 1) * 60, end * 60, 60)
      for (const { timeMs, value } of sum?.samples ?? []) {
        const slot = slots[minuteOf(timeMs) - from]
        if (!slot) continue
        slot.total += value
        slot.good += isGood ? value : 0
        slot.unknown = false
      }
    }
  return slots
}
