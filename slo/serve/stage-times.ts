import type { Service } from '../directory/service.ts'
import type { Stages } from '../page/api.ts'
import { increase } from '../sources/counter.ts'
import type { Series, Source } from '../sources/index.ts'
import { parseSelector } from '../sources/promql.ts'
import { jobsIn, matches } from '../sources/selector.ts'

/** As many points as a small chart can show. */
const steps = 72
/** The shortest step, which holds two scrapes at the usual interval. */
const leastStepMs = 30_000

/** How much a bucket grew in each step. */
type Bucket = { le: number; growth: Float64Array }

/** How long each stage that has a histogram took since a time. Of a young service the steps are shorter. */
export async function stagesOf(
  { stages, whole, scrapeSeconds }: Pick<Service, 'stages' | 'whole' | 'scrapeSeconds'>,
  source: Source,
  sinceMs: number,
  nowMs: number,
): Promise<Stages> {
  const leastMs = Math.max(leastStepMs, scrapeSeconds * 1000)
  const stepMs = leastMs * Math.max(1, Math.ceil((nowMs - sinceMs) / steps / leastMs))
  const to = Math.ceil(nowMs / stepMs) * stepMs
  const count = Math.max(1, Math.floor((to - sinceMs) / stepMs))
  const from = to - count * stepMs
  const parts = [
    ...stages.map(each => ({ ...each, isPart: true })),
    ...(whole ? [{ ...whole, isPart: false }] : []),
  ]
  const drawn = parts.flatMap(({ name, histogram, isPart }) => {
    const selector = parseSelector(histogram ?? '')
    return selector ? [{ name, isPart, selector }] : []
  })
  const names = new Set(drawn.flatMap(({ selector: { metric } }) => [`${metric}_bucket`, `${metric}_sum`]))
  const jobsOf = (name: string) =>
    jobsIn(drawn.flatMap(({ selector }) => (name.startsWith(`${selector.metric}_`) ? selector : [])))
  const series = await source.series([...names], from - stepMs, to, stepMs, jobsOf)
  const grow = ({ points }: Series): Float64Array => {
    const growth = new Float64Array(count)
    points.forEach(({ at, value }, i) => {
      const before = points[i - 1]
      const step = Math.ceil((at - from) / stepMs) - 1
      if (before && step >= 0)
        growth[step] =
          (growth[step] ?? 0) +
          increase({ timeMs: before.at, value: before.value }, { timeMs: at, value }, (3 * stepMs) / 1000)
    })
    return growth
  }
  const lanes = drawn.map(({ name, isPart, selector }) => {
    const of = (part: string) =>
      series.filter(each => each.name === `${selector.metric}_${part}` && matches(selector, each.labels))
    const boundOf = ({ labels: { le } }: Series) => (le === '+Inf' ? Infinity : Number(le))
    const buckets = [...Map.groupBy(of('bucket'), boundOf)]
      .map(([le, ofAll]) => ({ le, growth: sum(ofAll.map(grow)) }))
      .sort((one, other) => one.le - other.le)
    const quantiles = (q: number) => Array.from({ length: count }, (_, step) => quantile(q, buckets, step))
    return {
      stage: name,
      isPart,
      seconds: total(sum(of('sum').map(grow))),
      p50: quantiles(0.5),
      p95: quantiles(0.95),
      p99: quantiles(0.99),
      count: total(buckets.at(-1)?.growth ?? new Float64Array()),
    }
  })
  const all = lanes.reduce((sum, { seconds, isPart }) => sum + (isPart ? seconds : 0), 0)
  return {
    times: Array.from({ length: count }, (_, step) => (from + (step + 1) * stepMs) / 1000),
    stages: lanes.map(({ seconds, isPart, ...lane }) => ({
      ...lane,
      share: !isPart || all === 0 ? null : seconds / all,
    })),
  }
}

/** Step by step; of nothing it has no steps. */
const sum = (all: readonly Float64Array[]): Float64Array =>
  all.reduce((sums, each) => each.map((value, i) => value + (sums[i] ?? 0)), new Float64Array())

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
