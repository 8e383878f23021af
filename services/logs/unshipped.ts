import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ignore } from '@tintype/lib/disk.ts'
import { segmentName } from '@tintype/lib/telemetry/journal.ts'
import type { Folders } from './daily.ts'
import { namesIn } from './files.ts'
import { lookAt, newestFile } from './streams.ts'

/** Entries of a local journal that the log server does not have. */
type Unshipped = { stream: string; from: number; to: number }

/** A live shipper sends within its longest backoff of 5 s. */
const waitMs = 10_000
const lookEveryMs = 200

/**
 * Waits until the log server has all entries that the local journals have now, except of streams that ended before
 * `fromMs`: the server may have removed these by age. Returns the entries that are still missing.
 */
export async function waitForShipping({ journals, streams }: Folders, fromMs: number): Promise<Unshipped[]> {
  const held = await heldIn(journals, fromMs)
  for (const deadline = performance.now() + waitMs; ; await delay(lookEveryMs)) {
    const unshipped: Unshipped[] = []
    for (const [stream, to] of held) {
      const mark = (await newestFile(streams, stream))?.mark ?? 0
      if (mark >= to) held.delete(stream)
      else unshipped.push({ stream, from: mark + 1, to })
    }
    if (unshipped.length === 0 || performance.now() > deadline) return unshipped
  }
}

/** The newest entry of each stream in the local journals. */
async function heldIn(folder: string, fromMs: number): Promise<Map<string, number>> {
  const newest = new Map<string, number>()
  for (const source of namesIn(folder))
    for (const name of namesIn(join(folder, source))) {
      const [, epoch, , written = epoch] = segmentName.exec(name) ?? []
      if (!epoch) continue
      const stream = `${source}.${epoch}`
      const file = await lookAt(join(folder, source, name), `${source}.${written}`).catch(ignore('ENOENT'))
      if (file && file.effectiveMs >= fromMs) newest.set(stream, Math.max(newest.get(stream) ?? 0, file.mark))
    }
  return newest
}
