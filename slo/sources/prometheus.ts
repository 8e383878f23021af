import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Sample } from './counter.ts'
import {
  computedIncrease,
  increase,
  isCounterValue,
  isNewborn,
  minuteOf,
  processLabels,
  ratioSlot,
  scrapedSeconds,
} from './counter.ts'
import type { Counter, Minute, RatioSli, Selector, Series, Slot, Source, ThresholdSli } from './index.ts'
import { SourceError } from './index.ts'
import { nullIfTooMany, type PrometheusApi, prometheusApi, Refused } from './prometheus-api.ts'
import { formatSelector, type Scope, selectorsOf, unscoped } from './promql.ts'
import { growth, rangeOf, readings } from './ranges.ts'
import { isWithin, jobsIn, matches } from './selector.ts'

/** Points of a series in one answer, to limit memory. Prometheus allows at most 11,000. */
const maxPoints = 2_500
/** Samples of one answer: about 20 MB of memory. */
const maxSamples = 200_000
/** Expected number of series of a computed counter. */
const computedSeries = 100
/** Samples are read from this long before the first minute. For longer gaps only the last value is read. */
const leadSeconds = 600
/** Maximum of scrapes or steps in a minute. */
const samplesAMinute = 6
/** How far back the begin of the SLO is searched: the longest objective window. */
const seenDays = 90
/** Mimir refuses a query over more than 32 days. */
const daysAtOnce = 30
/** Metrics of one request. They are read one by one when they have more than `limits.readSeries` series. */
const metricsAtOnce = 10

type Range = { from: Minute; to: Minute }

/** The source on Prometheus' HTTP API, version 2 or 3. */
export function openPrometheus(url: string, scope: Scope = unscoped): Source {
  const api = prometheusApi(url, scope)
  return {
    async slots(sli, from, to) {
      if (to <= from) return []
      return sli.kind === 'ratio'
        ? ratioSlots(api, sli, { from, to }, scope)
        : thresholdSlots(api, sli, { from, to })
    },
    async seenBefore(sli, minute) {
      const above = (total: Counter) => `max(max_over_time(${rangeOf(total, `${daysAtOnce}d`, 3600)})) > 0`
      const query =
        sli.kind === 'ratio' ? above(sli.total) : `count(count_over_time((${sli.gauge})[${daysAtOnce}d:1h]))`
      for (let days = 0; days < seenDays; days += daysAtOnce) {
        const at = minute * 60 - days * 86_400
        const answer = await api.instant(query, at).catch(error => {
          // All samples of many series are too many for a Prometheus. One an hour shows a counter nearly as well.
          if (!(error instanceof Refused) || sli.kind !== 'ratio') throw error
          return api.instant(above({ ...sli.total, selector: null }), at)
        })
        if (answer.length > 0) return true
      }
      return false
    },
    labelValues: (sli, label, from, to) => {
      const total = sli.kind === 'ratio' ? sli.total.promql : sli.gauge
      return api.labelValues(label, selectorsOf(total), from * 60, to * 60)
    },
    // If Prometheus refuses this query, its clock is assumed to be right.
    now: () => api.now().catch(() => Date.now()),
    async series(selectors, fromMs, toMs, stepMs) {
      const read = async (names: readonly string[], jobs: string): Promise<Series[]> => {
        const selector = `{__name__=~"${names.join('|')}"${jobs && `,job=~${JSON.stringify(jobs)}`}}`
        const asked =
          stepMs === undefined
            ? api.query(`${selector}[${Math.ceil((toMs - fromMs) / 1000)}s]`, toMs / 1000)
            : api.range(selector, fromMs / 1000, toMs / 1000, stepMs / 1000)
        const answered = await asked.catch(nullIfTooMany)
        // Too many series together may not be too many of each metric.
        if (answered === null)
          return (await Promise.all(names.length === 1 ? [] : names.map(name => read([name], jobs)))).flat()
        return answered.map(({ labels: { __name__: name, ...labels }, samples }) => ({
          // The aggregation that merges copies of a pair drops the name.
          name: name ?? String(names[0]),
          labels,
          points: samples.map(({ timeMs: at, value }) => ({ at, value })),
        }))
      }
      const all: Series[] = []
      const atOnce = stepMs === undefined ? metricsAtOnce : 1
      const byMetric = Map.groupBy(selectors, ({ metric }) => metric)
      for (const [jobs, metrics] of Map.groupBy(byMetric, ([, ofMetric]) => jobsIn(ofMetric)))
        for (let i = 0; i < metrics.length; i += atOnce) {
          const names = metrics.slice(i, i + atOnce).map(([metric]) => metric)
          for (const each of await read(names, jobs)) all.push(each)
        }
      return all
    },
    close: async () => {},
  }
}

type Reading = Range & { api: PrometheusApi; maxGapSeconds: number }

async function ratioSlots(api: PrometheusApi, sli: RatioSli, { from, to }: Range, { replicaLabels }: Scope) {
  const { counts, part, total, maxGapSeconds } = sli
  const reading = { api, maxGapSeconds, from: from - leadMinutes(maxGapSeconds), to }
  // A part cannot be selected by a label that merged copies lack.
  const isMerged = part.selector?.matchers.some(({ label }) => replicaLabels.includes(label))
  const isFound = part.selector && total.selector && isWithin(part.selector, total.selector) && !isMerged
  const ofTotal = await seriesOf(reading, total)
  const ofPart = isFound ? ofTotal : await seriesOf(reading, part)
  // Both as sums or neither: sums lack the events at a restart, and the part must not become larger than the total.
  const isSummed = Math.max(ofPart, ofTotal) > limits.readSeries.value
  const read = async (counter: Counter, series: number) =>
    isSummed && counter.selector
      ? readSum(reading, counter, series)
      : (await readEach(reading, counter, series)).total
  // Both from one read if possible: samples may be stored between two. Else the part first, so that it is not the larger.
  const grown =
    isFound && !isSummed
      ? await readEach(reading, total, ofTotal, part.selector)
      : { part: await read(part, ofPart), total: await read(total, ofTotal) }
  return Array.from({ length: to - from }, (_, i) => {
    const index = from + i - reading.from
    return ratioSlot(counts, from + i, grown.part[index], grown.total[index])
  })
}

/** How many series a counter has; of a computed one the expected number. */
const seriesOf = async ({ api, from, to }: Reading, { selector }: Counter): Promise<number> =>
  selector ? api.series(formatSelector(selector), from * 60, to * 60) : computedSeries

const lead = (maxGapSeconds: number): number => Math.min(leadSeconds, maxGapSeconds)
const leadMinutes = (maxGapSeconds: number): number => Math.ceil(lead(maxGapSeconds) / 60) + 1

/** Reads the growth from all samples, piece by piece; `part`: also that of the series that it selects. */
async function readEach(reading: Reading, counter: Counter, series: number, part: Selector | null = null) {
  const { api, maxGapSeconds, from, to } = reading
  const [ofPart, ofAll] = [new Float64Array(to - from).fill(NaN), new Float64Array(to - from).fill(NaN)]
  const add = ({ sample, own }: Begun, grown: number) => {
    const minute = minuteOf(sample.timeMs) - from
    for (const sums of own) sums[minute] = (sums[minute] || 0) + grown
  }
  const last = await lastBefore(reading, counter)
  const piece = Math.max(60, Math.floor(maxSamples / samplesAMinute / Math.max(1, series)))
  // Earlier samples may have a sample before them that was not read.
  const first = (from + leadMinutes(maxGapSeconds)) * 60_000
  for (let start = from; start < to; start += piece) {
    const end = Math.min(start + piece, to)
    const begun: Begun[] = []
    // The range begins a scrape earlier. A series that ends in that scrape may go on under new labels.
    const answered = await api.query(rangeOf(counter, `${(end - start) * 60 + scrapedSeconds}s`), end * 60)
    for (const { labels, samples } of answered) {
      const recent = last.getOrInsertComputed(keyOf(labels), () => [])
      const own = part && matches(part, labels) ? [ofPart, ofAll] : [ofAll]
      for (const sample of counted(samples)) {
        if (sample.timeMs <= start * 60_000) continue
        // Only the last sample of a selector's series matters: the new one replaces it.
        const grown = counter.selector
          ? increase(recent.splice(0, 1, sample)[0], sample, maxGapSeconds)
          : computedIncrease(recent, sample, maxGapSeconds)
        if (grown === undefined && sample.timeMs > first) begun.push({ labels, sample, own })
        add({ labels, sample, own }, grown ?? 0)
      }
    }
    for (const each of await newbornOf(api, begun, answered, start, end)) add(each, each.sample.value)
  }
  return { part: ofPart, total: ofAll }
}

/** A first value of a series, and the sums that it belongs to. */
type Begun = { labels: Series['labels']; sample: Sample; own: readonly Float64Array[] }
type Answered = Awaited<ReturnType<PrometheusApi['query']>>

/**
 * The first values of series that are new in a process which was scraped before (`isNewborn`). `answered`: the samples
 * of the counter in the minutes (start, end], and in the scrape before.
 */
async function newbornOf(api: PrometheusApi, begun: Begun[], answered: Answered, start: Minute, end: Minute) {
  if (begun.length === 0) return []
  const of = (label: string) => {
    const values = new Set(begun.map(({ labels }) => RegExp.escape(labels[label] ?? '')))
    return `${label}=~${JSON.stringify([...values].join('|'))}`
  }
  const range = `[${(end - start) * 60 + 2 * scrapedSeconds}s]`
  const ups = await api.query(`up{${of('job')},${of('instance')}}${range}`, end * 60).catch(nullIfTooMany)
  return [...Map.groupBy(begun, each => `${processOf(each)} ${each.sample.timeMs}`).values()]
    .filter(([first]) => {
      const ofProcess = (all: Answered) => all.filter(each => processOf(each) === processOf(first as Begun))
      return isNewborn(ofProcess(ups ?? []), ofProcess(answered), (first as Begun).sample)
    })
    .flat()
}

const processOf = ({ labels }: Pick<Begun, 'labels'>): string =>
  JSON.stringify(processLabels.map(label => labels[label]))

const counted = (samples: readonly Sample[]): Sample[] => samples.filter(({ value }) => isCounterValue(value))

/** The key of a series without its name, which functions drop. */
const keyOf = ({ __name__: _, ...labels }: Series['labels']): string => JSON.stringify(labels)

/**
 * The last sample in the gap before the minutes to read of each series that has one in them. It is treated as if it were
 * taken at the first minute. In a day many more series may have ended, those of replaced pods.
 */
async function lastBefore({ api, maxGapSeconds, from, to }: Reading, counter: Counter) {
  const last = (seconds: number, at = '') => `last_over_time(${rangeOf(counter, `${seconds}s`)}${at})`
  // A sample that comes later is not counted from the last one. Mimir refuses queries over more than 32 days.
  const seconds = Math.min((to - from) * 60, maxGapSeconds)
  const query = `${last(maxGapSeconds)} and ${last(seconds, ` @ ${from * 60 + seconds}`)}`
  const answered = maxGapSeconds > leadSeconds ? await api.instant(query, from * 60) : []
  return new Map<string, Sample[]>(answered.map(({ labels, samples }) => [keyOf(labels), counted(samples)]))
}

/** Reads the growth from each minute's last samples, which lacks events between the last sample and a restart. */
async function readSum({ api, maxGapSeconds, from, to }: Reading, counter: Counter, series: number) {
  countLimit('readSeries')
  const summed = `sum(${growth(counter, `${lead(maxGapSeconds)}s`, '1m')} >= 0 < +Inf)`
  if (series * (to - from) > limits.readSummed.value * 1e6) {
    countLimit('readSummed')
    throw new SourceError(
      `${counter.promql} has ${series} series in ${to - from} minutes, more than can be summed: count a recording rule of their sum`,
    )
  }
  const piece = Math.max(10, Math.floor(maxSamples / Math.max(1, series)))
  return eachMinute(api, summed, { from, to }, piece)
}

async function thresholdSlots(api: PrometheusApi, sli: ThresholdSli, range: Range): Promise<Slot[]> {
  const [good, others] = (await Promise.all(
    [true, false].map(isGood => eachMinute(api, `sum(${readings(sli, isGood)})`, range)),
  )) as [Float64Array, Float64Array]
  return Array.from(good, (count, i) => {
    const other = others[i] as number
    const total = Number.isNaN(count) ? other : count + (other || 0)
    return ratioSlot('good', range.from + i, count, total)
  })
}

/** An expression's value at the end of each minute; NaN where it has none. */
async function eachMinute(api: PrometheusApi, query: string, { from, to }: Range, minutes = maxPoints) {
  const values = new Float64Array(to - from).fill(NaN)
  const piece = Math.min(maxPoints, minutes)
  for (let start = from; start < to; start += piece) {
    const [only] = await api.range(query, (start + 1) * 60, Math.min(start + piece, to) * 60, 60)
    for (const { timeMs, value } of only?.samples ?? []) values[minuteOf(timeMs) - from] = value
  }
  return values
}
