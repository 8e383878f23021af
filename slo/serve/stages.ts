import type { Service } from '../directory/service.ts'
import type { Stages } from '../page/api.ts'
import { increase } from '../sources/counter.ts'
import type { Selector } from '../sources/index.ts'
import { prometheusApi } from '../sources/prometheus-api.ts'
import { formatSelector, parseSelector, type Scope } from '../sources/promql.ts'
import type { Reader, Series } from '../sources/recorder/schema.ts'
import { matches } from '../sources/selector.ts'

/** As many points as a small chart can show. */
const steps = 72

/** Steps of equal length: the first begins at `from`. */
type Steps = { from: number; stepMs: number; count: number }
/** How much each bucket grew in each step, by ascending bound, and all observations together in seconds. */
type Grown = { buckets: Bucket[]; seconds: number }
type Bucket = { le: number; growth: Float64Array }

/** Reads a histogram by the name of its selector, without `_bucket`. */
export type HistogramReader = (histogram: Selector, steps: Steps) => Promise<Grown>

/** How long each stage that has a histogram took over the last hours. */
export async function stagesOf(
  { stages, whole }: Pick<Service, 'stages' | 'whole'>,
  read: HistogramReader,
  hours: number,
  nowMs: number,
): Promise<Stages> {
  const stepMs = Math.max(60_000, (hours * 3_600_000) / steps)
  const count = Math.round((hours * 3_600_000) / stepMs)
  const end = Math.ceil(nowMs / stepMs) * stepMs
  const from = end - count * stepMs
  const lanes = await Promise.all(
    [
      ...stages.map(each => ({ ...each, isPart: true })),
      ...(whole ? [{ ...whole, isPart: false }] : []),
    ].flatMap(({ name, histogram, isPart }) => {
      const selector = parseSelector(histogram ?? '')
      return selector ? [laneOf(name, isPart, read(selector, { from, stepMs, count }), count)] : []
    }),
  )
  const all = lanes.reduce((sum, { seconds, isPart }) => sum + (isPart ? seconds : 0), 0)
  return {
    times: Array.from({ length: count }, (_, step) => (from + (step + 1) * stepMs) / 1000),
    stages: lanes.map(({ seconds, isPart, ...lane }) => ({
      ...lane,
      share: !isPart || all === 0 ? null : seconds / all,
    })),
  }
}

async function laneOf(stage: string, isPart: boolean, grown: Promise<Grown>, count: number) {
  const { buckets, seconds } = await grown
  const quantiles = (q: number) => Array.from({ length: count }, (_, step) => quantile(q, buckets, step))
  return {
    stage,
    isPart,
    seconds,
    p50: quantiles(0.5),
    p95: quantiles(0.95),
    p99: quantiles(0.99),
    count: total(buckets.at(-1)?.growth ?? new Float64Array()),
  }
}

export const histogramsOfRecorder =
  (store: Reader): HistogramReader =>
  async ({ metric, matchers }, { from, stepMs, count }) => {
    const names = [`${metric}_bucket`, `${metric}_sum`]
    const series = store
      .read(names, from - stepMs, from + count * stepMs, stepMs)
      .filter(({ labels }) => matches({ matchers }, labels))
    const grow = (each: Series): Float64Array => {
      const growth = new Float64Array(count)
      each.points.forEach(({ at, value }, i) => {
        const before = each.points[i - 1]
        const step = Math.floor((at - from) / stepMs)
        const grown = increase(
          before && { timeMs: before.at, value: before.value },
          { timeMs: at, value },
          (3 * stepMs) / 1000,
        )
        if (step >= 0 && step < count) growth[step] = (growth[step] ?? 0) + grown
      })
      return growth
    }
    const of = (name: string) => series.filter(each => each.name === name)
    return {
      buckets: bucketsOf(of(`${metric}_bucket`).map(each => [each.labels.le, grow(each)])),
      seconds: of(`${metric}_sum`).reduce((sum, each) => sum + total(grow(each)), 0),
    }
  }

export function histogramsOfPrometheus(url: string, scope: Scope): HistogramReader {
  const api = prometheusApi(url, scope)
  return async ({ metric, matchers }, { from, stepMs, count }) => {
    const text = (part: string) => `${formatSelector({ metric: `${metric}_${part}`, matchers })}[${stepMs}ms]`
    const [first, last] = [(from + stepMs) / 1000, (from + count * stepMs) / 1000]
    const grown = (query: string) => api.range(query, first, last, stepMs / 1000)
    const [buckets, sums] = await Promise.all([
      grown(`sum by (le) (increase(${text('bucket')}))`),
      grown(`sum(increase(${text('sum')}))`),
    ])
    const growth = (values: readonly [seconds: number, value: string][]): Float64Array => {
      const all = new Float64Array(count)
      for (const [seconds, value] of values)
        all[Math.round((seconds - first) / (stepMs / 1000))] = Number(value)
      return all
    }
    return {
      buckets: bucketsOf(buckets.map(({ metric: { le }, values }) => [le, growth(values)])),
      seconds: total(growth(sums[0]?.values ?? [])),
    }
  }
}

/** The growth of each bucket over all processes, by ascending bound. */
function bucketsOf(grown: readonly (readonly [le: string | undefined, growth: Float64Array])[]): Bucket[] {
  const bounds = new Map<number, Float64Array>()
  for (const [text, growth] of grown) {
    const le = Number(text?.replace('+Inf', 'Infinity'))
    bounds.set(le, bounds.get(le)?.map((value, i) => value + (growth[i] ?? 0)) ?? growth)
  }
  return [...bounds].map(([le, growth]) => ({ le, growth })).sort((one, other) => one.le - other.le)
}

/** As Prometheus' histogram_quantile: linear within the bucket, the last finite bound above it; null when empty. */
function quantile(q: number, buckets: Bucket[], step: number): number | null {
  const counts = buckets.map(({ growth }) => growth[step] ?? 0)
  const all = counts.at(-1) ?? 0
  if (all === 0) return null
  const index = counts.findIndex(count => count >= q * all)
  const { le } = buckets[index] as Bucket
  const below = index === 0 ? 0 : (buckets[index - 1] as Bucket).le
  if (le === Infinity) return below
  const before = index === 0 ? 0 : (counts[index - 1] as number)
  const inside = (counts[index] as number) - before
  return inside === 0 ? le : below + ((le - below) * (q * all - before)) / inside
}

const total = (growth: Float64Array): number => growth.reduce((sum, value) => sum + value, 0)
