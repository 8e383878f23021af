import { countLimit, limits } from '@tintype/lib/limits.ts'
import { increase, minuteOf, ordered, ratioSlot, type Sample, unknownSlots } from './counter.ts'
import {
  type Counter,
  type Minute,
  type RatioSli,
  type Selector,
  type Series,
  type Sli,
  type Slot,
  type Source,
  SourceError,
  type ThresholdSli,
} from './index.ts'
import { type Matrix, type PrometheusApi, prometheusApi } from './prometheus-api.ts'
import { formatMatcher, formatSelector, type Scope, selectorsOf, unscoped } from './promql.ts'
import { rangeOf, readings } from './ranges.ts'
import { matches } from './selector.ts'

/** Prometheus answers at most 11,000 points a series; fewer keep the memory of an answer small. */
const maxPoints = 2_500
/** Samples of one answer: about 20 MB of memory. */
const maxSamples = 200_000
/** Of a counter whose samples are computed, how many series are expected. */
const computedSeries = 100
/** Two scrapes or steps are never closer together. */
const samplesAMinute = 6
/** How far back the start of the SLO is looked for: the longest objective window. */
const seenDays = 90
/** Metrics read at once: each answer is limited to `limits.readSeries` series. */
const metricsAtOnce = 10

type Range = { from: Minute; to: Minute }
type Increases = { labels: Series['labels']; counts: Float64Array; last: Sample | undefined }

/** The source over Prometheus’ HTTP API, version 2 or 3. */
export function openPrometheus(url: string, scope: Scope = unscoped): Source {
  const api = prometheusApi(url, scope)
  const unreplicated = (matrix: Matrix) => onePerCopy(matrix, scope.replicaLabels)
  return {
    async slots(sli, from, to) {
      if (to <= from) return []
      return sli.kind === 'ratio'
        ? ratioSlots(api, unreplicated, sli, { from, to })
        : thresholdSlots(api, sli, { from, to })
    },
    async seenBefore(sli, minute) {
      const query =
        sli.kind === 'ratio'
          ? `max(max_over_time(${rangeOf(sli.total, `${seenDays}d`, 3600)})) > 0`
          : `count(count_over_time((${sli.gauge})[${seenDays}d:1h]))`
      return (await api.query(query, minute * 60)).length > 0
    },
    labelValues: (sli, label, from, to) =>
      api.labelValues(label, selectorsOf(totalOf(sli)), from * 60, to * 60),
    async series(metrics, fromMs, toMs, stepMs, jobsOf = () => '') {
      const all: Series[] = []
      const atOnce = stepMs === undefined ? metricsAtOnce : 1
      for (const [jobs, names] of Map.groupBy(metrics, jobsOf))
        for (let i = 0; i < names.length; i += atOnce) {
          const read = names.slice(i, i + atOnce)
          const selector = `{__name__=~"${read.join('|')}"${jobs && `,job=~${JSON.stringify(jobs)}`}}`
          const matrix = await (stepMs === undefined
            ? api.query(`${selector}[${Math.ceil((toMs - fromMs) / 1000)}s]`, toMs / 1000)
            : api.range(selector, fromMs / 1000, toMs / 1000, stepMs / 1000))
          // An aggregation over the copies of a pair drops the name.
          for (const { labels: named, samples } of unreplicated(matrix)) {
            const { __name__: name = String(read[0]), ...labels } = named
            all.push({ name, labels, points: samples.map(({ timeMs: at, value }) => ({ at, value })) })
          }
        }
      return all
    },
    close: async () => {},
  }
}

const totalOf = (sli: Sli): string => (sli.kind === 'ratio' ? sli.total.promql : sli.gauge)

/** Of series that differ only in which server of a pair has them, the one with most samples; labels sorted by name. */
function onePerCopy(matrix: Matrix, replicaLabels: readonly string[]) {
  const named = matrix.map(({ metric, values }) => {
    const kept = Object.entries(metric).filter(([label]) => !replicaLabels.includes(label))
    const labels = Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)))
    return { labels, values }
  })
  return [...Map.groupBy(named, ({ labels }) => JSON.stringify(labels))].map(([key, copies]) => {
    const { labels, values } = copies.reduce((a, b) => (b.values.length > a.values.length ? b : a))
    return { key, labels, samples: values.map(sampleOf) }
  })
}

const sampleOf = ([seconds, value]: Matrix[number]['values'][number]): Sample => ({
  timeMs: Math.round(seconds * 1000),
  value: Number(value.replace('Inf', 'Infinity')),
})

type Unreplicated = (matrix: Matrix) => ReturnType<typeof onePerCopy>

async function ratioSlots(
  api: PrometheusApi,
  unreplicated: Unreplicated,
  { counts, part, total, maxGapSeconds }: RatioSli,
  { from, to }: Range,
): Promise<Slot[]> {
  const range = { from: from - Math.ceil(maxGapSeconds / 60) - 1, to }
  const read = (counter: Counter) => readIncreases(api, unreplicated, counter, maxGapSeconds, range)
  const totals = await read(total)
  const known = part.selector && total.selector && isWithin(part.selector, total.selector) && part.selector
  const parts = known ? totals.filter(({ labels }) => matches(known, labels)) : await read(part)
  const sum = (series: readonly Increases[], i: number) =>
    series.reduce((all, { counts }) => all + (counts[i] ?? 0), 0)
  return Array.from({ length: to - from }, (_, i) => {
    const index = i + from - range.from
    return ratioSlot(counts, from + i, sum(parts, index), sum(totals, index))
  })
}

/** Whether a selector means no series but some of another’s. */
const isWithin = (part: Selector, total: Selector): boolean =>
  part.metric === total.metric &&
  total.matchers.every(each => part.matchers.some(other => formatMatcher(other) === formatMatcher(each)))

/** What each series grew in each minute, from all its samples, piece by piece. */
async function readIncreases(
  api: PrometheusApi,
  unreplicated: Unreplicated,
  counter: Counter,
  maxGapSeconds: number,
  { from, to }: Range,
): Promise<Increases[]> {
  const series = counter.selector ? await countSeries(api, counter, { from, to }) : computedSeries
  const piece = Math.max(60, Math.floor(maxSamples / samplesAMinute / Math.max(1, series)))
  const all = new Map<string, Increases>()
  for (let start = from; start < to; start += piece) {
    const end = Math.min(start + piece, to)
    const matrix = await api.query(rangeOf(counter, `${(end - start) * 60}s`), end * 60)
    for (const {
      key,
      labels: { __name__: _, ...labels },
      samples,
    } of unreplicated(matrix)) {
      const known: Increases = all.get(key) ?? {
        labels,
        counts: new Float64Array(to - from),
        last: undefined,
      }
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

async function countSeries(api: PrometheusApi, { selector }: Counter, { from, to }: Range): Promise<number> {
  const text = selector ? formatSelector(selector) : ''
  const known = await api.series(text, from * 60, to * 60)
  if (known <= limits.readSeries.value) return known
  countLimit('readSeries')
  throw new SourceError(
    `${text} has ${known} series, more than ${limits.readSeries.value}: a label of it is unbounded`,
  )
}

async function thresholdSlots(api: PrometheusApi, sli: ThresholdSli, { from, to }: Range): Promise<Slot[]> {
  const slots = unknownSlots(from, to)
  for (const isGood of [true, false])
    for (let start = from; start < to; start += maxPoints) {
      const end = Math.min(start + maxPoints, to)
      const [sum] = await api.range(`sum(${readings(sli, isGood)})`, (start + 1) * 60, end * 60, 60)
      for (const [seconds, value] of sum?.values ?? []) {
        const slot = slots[seconds / 60 - 1 - from]
        if (!slot) continue
        slot.total += Number(value)
        slot.good += isGood ? Number(value) : 0
        slot.unknown = false
      }
    }
  return slots
}
