import { ratioSlot } from './counter.ts'
import { type Sli, type Slot, type Source, SourceError } from './index.ts'
import type { Reader } from './recorder/reader.ts'
import { openStore, recorderFile } from './recorder/store.ts'

/** Opens the recorder's file as a source, beside its writer. @throws ExpectedError when it is missing or unreadable. */
export const openEmbedded = (dataDir: string): Source => embeddedSource(openStore(recorderFile(dataDir)))

/** The source on an open recorder's file. Closing the source closes the file. */
export const embeddedSource = (store: Reader): Source => ({
  now: async () => Date.now(),
  async slots(sli, from, to) {
    const { part, total, counts, maxGapSeconds } = recordedSelectors(sli)
    const parts = store.increases(part, maxGapSeconds, from, to)
    const totals = store.increases(total, maxGapSeconds, from, to)
    return Array.from(totals, (count, i): Slot => ratioSlot(counts, from + i, parts[i], count))
  },
  async seenBefore(sli, minute) {
    const { total, maxGapSeconds } = recordedSelectors(sli)
    return store.aboveZeroBy(total, maxGapSeconds, minute)
  },
  labelValues: async (sli, label, from, to) =>
    store.labelValues(recordedSelectors(sli).total, label, from, to).sort(),
  series: async (metrics, fromMs, toMs, stepMs) => store.read(metrics, fromMs, toMs, stepMs),
  close: async () => store.close(),
})

/** @throws SourceError for an indicator that the recorder cannot read. */
export function recordedSelectors(sli: Sli) {
  if (sli.kind === 'ratio' && sli.part.selector && sli.total.selector)
    return { ...sli, part: sli.part.selector, total: sli.total.selector }
  const computed = sli.kind === 'threshold' ? sli.gauge : (sli.part.selector ? sli.total : sli.part).promql
  throw new SourceError(
    `the embedded recorder reads counters as name{label="value"}, and their sum; ${computed} needs a Prometheus (PROMETHEUS_URL)`,
  )
}
