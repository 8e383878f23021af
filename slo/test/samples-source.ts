import { increase, isCounterValue, minuteOf, ratioSlot, type Sample } from '../sources/counter.ts'
import type { Counter, Minute, Selector, Sli, Source } from '../sources/index.ts'
import { matches } from '../sources/selector.ts'
import type { Simulated } from './simulate.ts'

/** The contract's reference: computes slots directly from samples. */
export function samplesSource({ series }: Simulated): Source {
  const of = ({ selector }: Counter) =>
    series.filter(
      ({ metric, labels }) => metric === selector?.metric && matches(selector as Selector, labels),
    )
  const totalOf = (sli: Sli): Counter => (sli.kind === 'ratio' ? sli.total : { promql: '', selector: null })
  return {
    async slots(sli, from, to) {
      if (sli.kind !== 'ratio') throw new Error('samples are of counters')
      const grown = (counter: Counter) =>
        of(counter)
          .map(({ samples }) => increases(samples, sli.maxGapSeconds, from, to))
          .reduce((all, each) => all.map((count, i) => count + (each[i] ?? 0)), new Float64Array(to - from))
      const [parts, totals] = [grown(sli.part), grown(sli.total)]
      const seen = new Set(
        of(sli.total).flatMap(({ samples }) => ordered(samples).map(({ timeMs }) => minuteOf(timeMs))),
      )
      return Array.from(totals, (total, i) =>
        ratioSlot(sli.counts, from + i, parts[i], seen.has(from + i) ? total : NaN),
      )
    },
    now: async () => Infinity,
    seenBefore: async (sli, minute) =>
      of(totalOf(sli)).some(({ samples }) =>
        samples.some(({ timeMs, value }) => timeMs <= minute * 60_000 && value > 0),
      ),
    labelValues: async (sli, label) =>
      [...new Set(of(totalOf(sli)).flatMap(({ labels }) => labels[label] ?? []))].sort(),
    series: async () => [],
    close: async () => {},
  }
}

/** The growth of a counter in each minute of [from, to); samples may be unordered or repeated. */
export function increases(
  samples: readonly Sample[],
  maxGapSeconds: number,
  from: Minute,
  to: Minute,
): Float64Array {
  const counts = new Float64Array(to - from)
  ordered(samples).forEach((sample, i, all) => {
    const index = minuteOf(sample.timeMs) - from
    if (index >= 0 && index < counts.length)
      counts[index] = (counts[index] ?? 0) + (increase(all[i - 1], sample, maxGapSeconds) ?? 0)
  })
  return counts
}

/** Samples in order of time. Of two with the same time the larger is kept. */
export const ordered = (samples: readonly Sample[]): Sample[] =>
  samples
    .filter(({ value }) => isCounterValue(value))
    .sort((a, b) => a.timeMs - b.timeMs || a.value - b.value)
    .filter((sample, i, all) => sample.timeMs !== all[i + 1]?.timeMs)
