import { samplesOf, type Vector, windowOf } from '../diagnose/evaluate.ts'
import { parseExpression } from '../diagnose/expression.ts'
import type { Service } from '../directory/service.ts'
import type { Source } from '../sources/index.ts'
import { formatSelector, parseSelector } from '../sources/promql.ts'

const steps = 72
/** The shortest step contains two scrapes: with one, a late scrape would leave its step empty. */
const leastScrapes = 2

/** Seconds of each stage with a histogram since a time; null where no work was done. A young service has shorter steps. */
export async function stagesOf(
  { stages, whole, scrapeSeconds }: Pick<Service, 'stages' | 'whole' | 'scrapeSeconds'>,
  source: Source,
  sinceMs: number,
  nowMs: number,
) {
  const leastMs = leastScrapes * scrapeSeconds * 1000
  const stepMs = leastMs * Math.max(1, Math.ceil((nowMs - sinceMs) / steps / leastMs))
  const to = Math.ceil(nowMs / stepMs) * stepMs
  const count = Math.max(1, Math.floor((to - sinceMs) / stepMs))
  const from = to - count * stepMs
  const last = whole ? [{ ...whole, isPart: false }] : []
  const parts = [...stages.map(each => ({ ...each, isPart: true })), ...last]
  const drawn = parts.flatMap(({ name, histogram, isPart }) => {
    const selector = parseSelector(histogram ?? '')
    if (!selector) return []
    const counter = (part: string) => formatSelector({ ...selector, metric: `${selector.metric}_${part}` })
    const grown = (part: string) => parseExpression(`increase(${counter(part)}[$w])`)
    return [{ name, isPart, buckets: grown('bucket'), sum: grown('sum') }]
  })
  const selectors = drawn.flatMap(({ buckets, sum }) => [...buckets.selectors, ...sum.selectors])
  const samples = samplesOf(await source.series(selectors, from - stepMs, to, stepMs))
  const windows = Array.from({ length: count }, (_, step) => {
    const fromMs = from + step * stepMs
    return windowOf(samples, { fromMs, toMs: fromMs + stepMs })
  })
  const lanes = drawn.map(({ name, isPart, buckets, sum }) => {
    const boundOf = ({ labels: { le } }: Vector[number]) => (le === '+Inf' ? Infinity : Number(le))
    const histograms = windows.map(window =>
      [...Map.groupBy(buckets.vectorIn(window), boundOf)]
        .map(([le, ofAll]) => ({ le, count: total(ofAll) }))
        .sort((one, other) => one.le - other.le),
    )
    return {
      stage: name,
      isPart,
      seconds: total(windows.flatMap(window => sum.vectorIn(window))),
      p50: histograms.map(each => quantile(0.5, each)),
      p95: histograms.map(each => quantile(0.95, each)),
      p99: histograms.map(each => quantile(0.99, each)),
      count: histograms.reduce((sum, each) => sum + (each.at(-1)?.count ?? 0), 0),
    }
  })
  const all = lanes.reduce((sum, { seconds, isPart }) => sum + (isPart ? seconds : 0), 0)
  return {
    /** Epoch seconds of the steps' ends. */
    times: Array.from({ length: count }, (_, step) => (from + (step + 1) * stepMs) / 1000),
    stages: lanes.map(({ seconds, isPart, ...lane }) => ({
      ...lane,
      share: !isPart || all === 0 ? null : seconds / all,
    })),
  }
}

const total = (grown: Vector): number => grown.reduce((sum, { value }) => sum + value, 0)

/** Like Prometheus' histogram_quantile: linear within the bucket, the last finite bound above it; null when empty. */
function quantile(q: number, buckets: readonly { le: number; count: number }[]): number | null {
  const all = buckets.at(-1)?.count ?? 0
  if (all === 0) return null
  const index = buckets.findIndex(({ count }) => count >= q * all)
  const { le, count } = buckets[index] as (typeof buckets)[number]
  const before = buckets[index - 1] ?? { le: 0, count: 0 }
  if (le === Infinity) return before.le
  const inside = count - before.count
  return inside === 0 ? le : before.le + ((le - before.le) * (q * all - before.count)) / inside
}
