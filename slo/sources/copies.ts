import type { Sample } from './counter.ts'
import type { Series } from './index.ts'

/** Result of a query of Prometheus: `values` of a range vector or a query_range. */
export type Matrix = { metric: Record<string, string>; values?: [seconds: number, value: string][] }[]
/** A series that Prometheus answered, its labels sorted by name. */
export type Answered = { labels: Series['labels']; samples: Sample[] }

/** One server of a pair scraped nothing for so long: the other's samples are taken. */
const gapMs = 60_000
/** Of the clocks of a pair: a sample that is older than it seems would look like a restart (thanos#2401). */
const skewMs = 5_000

/** Of series that differ only in which server of a pair has them, the one with most samples, with the others' in its gaps. */
export function onePerCopy(matrix: Matrix, replicaLabels: readonly string[]): Answered[] {
  const named = matrix.map(({ metric, values = [] }) => {
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

/** The samples of one copy, and of another those in the gaps of the first. */
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

const sampleOf = ([seconds, value]: [number, string]): Sample => ({
  timeMs: Math.round(seconds * 1000),
  value: Number(value.replace('Inf', 'Infinity')),
})
