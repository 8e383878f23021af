import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ignore } from '@tintype/lib/disk.ts'
import { isStream, scanEntry, streamPrefix } from '@tintype/lib/telemetry/entry.ts'
import { findSegments } from '@tintype/lib/telemetry/journal.ts'
import { type Folders, linesWith, namesIn } from './files.ts'
import { newestFile } from './streams.ts'

/** Entries of a local journal that the log server does not have. */
type Unshipped = { stream: string; from: number; to: number }

/** A live shipper sends within its longest backoff of 5 s. */
const waitMs = 10_000
const lookEveryMs = 200

/** Waits until the log server has what the journals have of a day (default: of all). Returns what is still missing. */
export async function waitForShipping({ journals, streams }: Folders, day = ''): Promise<Unshipped[]> {
  const held = await heldIn(journals, day)
  for (const deadline = performance.now() + waitMs; ; await sleep(lookEveryMs)) {
    const unshipped: Unshipped[] = []
    for (const [stream, to] of held) {
      const mark = (await newestFile(streams, stream))?.mark ?? 0
      if (mark >= to) held.delete(stream)
      else unshipped.push({ stream, from: mark + 1, to })
    }
    if (unshipped.length === 0 || performance.now() > deadline) return unshipped
  }
}

/** The newest entry of a day of each stream in the local journals. */
async function heldIn(folder: string, day: string): Promise<Map<string, number>> {
  const newest = new Map<string, number>()
  const read = async (file: string, stream: string, written: string) => {
    for await (const line of linesWith(file, `"timestamp":"${day}`)) {
      const seq = scanEntry(line, streamPrefix(written))?.seq ?? 0
      newest.set(stream, Math.max(newest.get(stream) ?? 0, seq))
    }
  }
  for (const source of namesIn(folder).filter(each => isStream(`${each}.1`)))
    for (const { file, stream, written } of findSegments(join(folder, source), source))
      await read(file, stream, written).catch(ignore('ENOENT'))
  return newest
}
