import { stages } from '@tintype/lib/telemetry/catalogue.ts'
import type { Stages } from '../page/api.ts'
import { increase } from '../sources/counter.ts'
import type { Reader, Series } from '../sources/recorder/schema.ts'

const metric = 'tintype_stage_seconds'
/** As many points as a small chart can show. */
const steps = 72

/** How long each stage took over the last hours, from the recorder's samples. */
export function stagesOf(store: Reader, hours: number, nowMs: number): Stages {
  const stepMs = Math.max(60_000, (hours * 3_600_000) / steps)
  const count = Math.round((hours * 3_600_000) / stepMs)
  const end = Math.ceil(nowMs / stepMs) * stepMs
  const from = end - count * stepMs
  const series = store.read([`${metric}_bucket`, `${metric}_sum`], from - stepMs, end, stepMs)
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
  const lanes = stages.map(stage => {
    const of = series.filter(({ labels }) => labels.stage === stage)
    const buckets = sumBy(
      of.filter(({ name }) => name.endsWith('_bucket')),
      grow,
    )
    const seconds = of
      .filter(({ name }) => name.endsWith('_sum'))
      .reduce((sum, each) => sum + total(grow(each)), 0)
    const quantiles = (q: number) => Array.from({ length: count }, (_, step) => quantile(q, buckets, step))
    return {
      stage,
      p50: quantiles(0.5),
      p95: quantiles(0.95),
      p99: quantiles(0.99),
      seconds,
      count: total(buckets.at(-1)?.growth ?? new Float64Array()),
    }
  })
  // Experience is the whole as the browser saw it, no part of it.
  const whole = lanes
    .filter(({ stage }) => stage !== 'experience')
    .reduce((sum, { seconds }) => sum + seconds, 0)
  return {
    times: Array.from({ length: count }, (_, step) => (from + (step + 1) * stepMs) / 1000),
    stages: lanes.map(({ seconds, ...lane }) => ({
      ...lane,
      share: lane.stage === 'experience' || whole === 0 ? null : seconds / whole,
    })),
  }
}

type Bucket = { le: number; growth: Float64Array }

/** The growth of each bucket over all processes, by ascending bound. */
function sumBy(series: Series[], grow: (each: Series) => Float64Array): Bucket[] {
  const bounds = new Map<number, Float64Array>()
  for (const each of series) {
    const le = Number(each.labels.le?.replace('+Inf', 'Infinity'))
    const growth = grow(each)
    const sum = bounds.get(le)
    bounds.set(le, sum ? sum.map((value, i) => value + (growth[i] ?? 0)) : growth)
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
