import type { Sample } from './counter.ts'
import type { Series } from './index.ts'

type Point = [seconds: number, value: string]
/** A series in an answer of Prometheus: `values` of a range vector and of query_range, `value` of an instant vector. */
export type Result = { metric: Record<string, string>; values?: Point[]; value?: Point }
/** An answered series with its labels sorted by name. */
export type Answered = { labels: Series['labels']; samples: Sample[] }

/** When one server of a pair has no samples for this time, the other's are used. */
const gapMs = 60_000
/** Difference of a pair's clocks: a sample that is older than it seems would look like a restart (thanos#2401). */
const skewMs = 5_000

/** Merges series that differ only in their server of a pair: the one with most samples, its gaps filled by others. */
export function onePerCopy(results: readonly Result[], replicaLabels: readonly string[]): Answered[] {
  const named = results.map(({ metric, value, values = value ? [value] : [] }) => {
    const kept = Object.entries(metric).filter(([label]) => !replicaLabels.includes(label))
    const labels = Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)))
    return { labels, samples: values.map(sampleOf) }
  })
  return [...Map.groupBy(named, ({ labels }) => JSON.stringify(labels)).values()].map(copies => ({
    labels: copies[0]?.labels ?? {},
    samples: copies
      .map(({ samples }) => samples)
      .sort((a, b) => b.length - a.length)
      .reduce(filled),
  }))
}

/** The samples of one copy, and another's in its gaps. */
function filled(samples: Sample[], other: Sample[]): Sample[] {
  const edges = [Number.NEGATIVE_INFINITY, ...samples.map(({ timeMs }) => timeMs), Number.POSITIVE_INFINITY]
  const gaps = edges.flatMap((to, i) => {
    const from = edges[i - 1] ?? to
    return to - from > gapMs ? [{ from, to }] : []
  })
  const more = gaps.flatMap(({ from, to }) =>
    other.filter(({ timeMs }) => timeMs > from + skewMs && timeMs < to - skewMs),
  )
  return more.length === 0 ? samples : [...samples, ...more].sort((a, b) => a.timeMs - b.timeMs)
}

const sampleOf = ([seconds, value]: Point): Sample => ({
  timeMs: Math.round(seconds * 1000),
  value: Number(value.replace('Inf', 'Infinity')),
})
