import { increases, isCounterValue, minuteOf, type Sample } from './counter.ts'
import { type Minute, type Selector, type Sli, type Slot, type Source, SourceError } from './index.ts'
import { type Matrix, type PrometheusApi, prometheusApi } from './prometheus-api.ts'
import { formatSelector, matches } from './selector.ts'

/** Prometheus answers at most 11,000 points a series. */
const maxPoints = 10_000
/** More is a label too many, and would be a gigabyte of answers; restarted pods of 90 days stay well below. */
const maxSeries = 2_000
/** Raw samples are fetched in pieces of at most a day; irregular minutes this close share a request. */
const maxRawMinutes = 1_440
const joinMinutes = 30
/** How far back the start of the SLO is looked for: the longest objective window. */
const seenDays = 90
/** Just under a minute: Prometheus 2 would count a sample at the very start of a closed range, 3 would not. */
const oneMinute = '59s999ms'

type Series = { labels: Record<string, string>; samples: Sample[] }

/** The source over Prometheus’ HTTP API, version 2 or 3. */
export function openPrometheus(url: string): Source {
  const api = prometheusApi(url)
  return {
    async slots(sli, from, to) {
      if (to <= from) return []
      const first = from - Math.ceil(sli.maxGapSeconds / 60) - 1
      const totals = await readSeries(api, sli.total, first, to)
      const goods =
        sli.good.metric === sli.total.metric
          ? totals.filter(({ labels }) => matches(sli.good, labels))
          : await readSeries(api, sli.good, first, to)
      return toSlots(sum(goods, sli, from, to), sum(totals, sli, from, to), from)
    },
    async seenBefore({ total }, minute) {
      const query = `max(max_over_time(${formatSelector(total)}[${seenDays}d])) > 0`
      return (await api.query(query, minute * 60)).length > 0
    },
    close: async () => {},
  }
}

function sum(series: Series[], { maxGapSeconds }: Sli, from: Minute, to: Minute): Float64Array {
  const sums = new Float64Array(to - from)
  for (const { samples } of series) {
    increases(samples, maxGapSeconds, from, to).forEach((count, i) => {
      sums[i] = (sums[i] ?? 0) + count
    })
  }
  return sums
}

const toSlots = (goods: Float64Array, totals: Float64Array, from: Minute): Slot[] =>
  Array.from(totals, (total, i) => ({ start: from + i, good: goods[i] ?? 0, total, unknown: total === 0 }))

/**
 * Each series’ samples of the minutes [from, to). All of them would be four times the bytes that are needed: the
 * last of each minute says how much was counted in it, except where a counter was reset or a series appeared.
 * Those minutes are fetched whole.
 */
async function readSeries(
  api: PrometheusApi,
  selector: Selector,
  from: Minute,
  to: Minute,
): Promise<Series[]> {
  const text = formatSelector(selector)
  const known = await api.series(text, from * 60, to * 60)
  if (known > maxSeries)
    throw new SourceError(`${text} has ${known} series, more than ${maxSeries}: a label of it is unbounded`)
  const [lasts, resets] = await Promise.all([
    rangeByMinute(api, `last_over_time(${text}[${oneMinute}])`, from, to),
    rangeByMinute(api, `resets(${text}[2m]) > 0`, from, to),
  ])
  const irregular = irregularMinutes(lasts, resets)
  const raw = await readRaw(api, text, irregular)
  return [...lasts].map(([key, points]) => ({
    labels: JSON.parse(key),
    samples: [...points.filter(({ timeMs }) => !irregular.has(minuteOf(timeMs))), ...(raw.get(key) ?? [])],
  }))
}

/** Minutes of which the last sample does not tell all. */
function irregularMinutes(lasts: Map<string, Sample[]>, resets: Map<string, Sample[]>): Set<Minute> {
  const irregular = new Set<Minute>()
  for (const { timeMs } of [...resets.values()].flat()) irregular.add(minuteOf(timeMs))
  for (const points of lasts.values()) {
    points.forEach((point, i) => {
      const minute = minuteOf(point.timeMs)
      const previous = points[i - 1]
      if (!isCounterValue(point.value)) irregular.add(minute)
      if (previous && minuteOf(previous.timeMs) === minute - 1) return
      irregular.add(minute)
      if (previous) irregular.add(minuteOf(previous.timeMs))
    })
  }
  return irregular
}

async function readRaw(
  api: PrometheusApi,
  text: string,
  minutes: Set<Minute>,
): Promise<Map<string, Sample[]>> {
  const all = new Map<string, Sample[]>()
  for (const [from, to] of spans([...minutes].sort((a, b) => a - b))) {
    const matrix = await api.query(`${text}[${(to - from) * 60}s]`, to * 60)
    collect(all, matrix, ({ timeMs }) => minutes.has(minuteOf(timeMs)))
  }
  return all
}

/** Minutes that are close together, as [from, to). */
function spans(minutes: Minute[]): [Minute, Minute][] {
  const result: [Minute, Minute][] = []
  for (const minute of minutes) {
    const last = result.at(-1)
    if (last && minute - last[1] < joinMinutes && minute - last[0] < maxRawMinutes) last[1] = minute + 1
    else result.push([minute, minute + 1])
  }
  return result
}

async function rangeByMinute(api: PrometheusApi, query: string, from: Minute, to: Minute) {
  const starts = Array.from({ length: Math.ceil((to - from) / maxPoints) }, (_, i) => from + i * maxPoints)
  const chunks = await Promise.all(
    starts.map(start => api.range(query, (start + 1) * 60, Math.min(start + maxPoints, to) * 60, 60)),
  )
  const all = new Map<string, Sample[]>()
  for (const chunk of chunks) collect(all, chunk)
  return all
}

function collect(all: Map<string, Sample[]>, matrix: Matrix, wanted = (_: Sample): boolean => true): void {
  for (const { metric, values } of matrix) {
    const { __name__: _, ...labels } = metric
    const key = JSON.stringify(labels)
    const samples = all.get(key) ?? []
    for (const [seconds, value] of values) {
      const sample = { timeMs: Math.round(seconds * 1000), value: Number(value.replace('Inf', 'Infinity')) }
      if (wanted(sample)) samples.push(sample)
    }
    all.set(key, samples)
  }
}
