import type { Slot, Source } from './index.ts'
import type { Reader } from './recorder/schema.ts'
import { openStore, recorderFile } from './recorder/store.ts'

/** The source over the recorder's file, read beside its writer. @throws ExpectedError when nothing was ever recorded, or it cannot be read. */
export const openEmbedded = (dataDir: string): Source => embeddedSource(openStore(recorderFile(dataDir)))

/** The source over an open recorder's file; closing it closes the file. */
export const embeddedSource = (store: Reader): Source => ({
  async slots({ good, total, maxGapSeconds }, from, to) {
    const goods = store.increases(good, maxGapSeconds, from, to)
    const totals = store.increases(total, maxGapSeconds, from, to)
    return Array.from(totals, (count, i): Slot => {
      const counted = count || 0
      return { start: from + i, good: goods[i] || 0, total: counted, unknown: counted === 0 }
    })
  },
  seenBefore: async ({ total }, minute) => store.aboveZeroBy(total, minute),
  close: async () => store.close(),
})
