import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { newline, scanEntry, streamPrefix, wholeLines } from '@tintype/lib/telemetry/entry.ts'
import { ownFolder } from '@tintype/lib/telemetry/own.ts'
import type { Folders } from './daily.ts'
import { list } from './manifest.ts'

/** Entries in a local process's journal that the log server does not have. */
type Unshipped = { stream: string; from: number; to: number }

/** A shipper that is alive sends within its longest back-off of 5 s. */
export const waitForShippersMs = 10_000
const lookEveryMs = 200
/** More than the longest line. */
const tailBytes = 2 ** 21

/** Waits until the log server has what the local journals hold now; gives what it did not get in the time. */
export async function waitForShipping(folders: Folders, withinMs: number): Promise<Unshipped[]> {
  const wanted = journalled(folders.journals)
  const deadline = Date.now() + withinMs
  for (;;) {
    const unshipped = [...wanted].flatMap(([stream, to]): Unshipped[] => {
      const mark = markOf(folders.streams, stream)
      return mark < to ? [{ stream, from: mark + 1, to }] : []
    })
    if (unshipped.length === 0 || Date.now() > deadline || !isServed(folders.streams)) return unshipped
    await delay(lookEveryMs)
  }
}

/** The newest entry of each stream in the local journals. */
function journalled(folder: string): Map<string, number> {
  const newest = new Map<string, number>()
  for (const source of list(folder))
    for (const name of list(join(folder, source))) {
      const [, epoch] = /^(\d+)\.\d+\.ndjson$/.exec(name) ?? []
      if (!epoch) continue
      const stream = `${source}.${epoch}`
      newest.set(stream, Math.max(newest.get(stream) ?? 0, lastEntry(join(folder, source, name), stream)))
    }
  return newest
}

/** The last entry of a stream that the server has. */
function markOf(folder: string, stream: string): number {
  return Math.max(0, ...list(folder).map(day => lastEntry(join(folder, day, `${stream}.ndjson`), stream)))
}

/** The number of a file's last whole line; 0 when there is none, or no file. */
function lastEntry(file: string, stream: string): number {
  let fd: number
  try {
    fd = openSync(file, 'r')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0
    throw error
  }
  try {
    const { size } = fstatSync(fd)
    const bytes = Buffer.alloc(Math.min(size, tailBytes))
    const end = wholeLines(bytes, readSync(fd, bytes, 0, bytes.length, size - bytes.length))
    const start = end < 2 ? 0 : bytes.lastIndexOf(newline, end - 2) + 1
    return end === 0 ? 0 : (scanEntry(bytes, start, end - 1, streamPrefix(stream))?.seq ?? 0)
  } finally {
    closeSync(fd)
  }
}

/** Whether a log server runs on this folder: without one nothing would come. */
function isServed(folder: string): boolean {
  const release = ownFolder(folder)
  if (release === 'taken') return true
  release()
  return false
}
