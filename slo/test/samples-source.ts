import { increases } from '../sources/counter.ts'
import type { Selector, Source } from '../sources/index.ts'
import { matches } from '../sources/selector.ts'
import type { Simulated } from './simulate.ts'

/** The contract’s reference: slots straight from samples. */
export function samplesSource({ series }: Simulated): Source {
  const of = (selector: Selector) =>
    series.filter(({ metric, labels }) => metric === selector.metric && matches(selector, labels))
  return {
    async slots({ good, total, maxGapSeconds }, from, to) {
      const sum = (selector: Selector, i: number) =>
        grown.get(selector)?.reduce((all, each) => all + (each[i] ?? 0), 0) ?? 0
      const grown = new Map(
        [good, total].map(selector => [
          selector,
          of(selector).map(({ samples }) => increases(samples, maxGapSeconds, from, to)),
        ]),
      )
      return Array.from({ length: to - from }, (_, i) => {
        const all = sum(total, i)
        return { start: from + i, good: sum(good, i), total: all, unknown: all === 0 }
      })
    },
    seenBefore: async ({ total }, minute) =>
      of(total).some(({ samples }) =>
        samples.some(({ timeMs, value }) => timeMs <= minute * 60_000 && value > 0),
      ),
    close: async () => {},
  }
}
