import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../errors.ts'

type TraceFile = { file: string; bytes: number; writtenAt: number }

const dayMs = 86_400_000

/** The trace files of a folder whose names begin so, those written to last at the end. */
export function traceFiles(folder: string, prefix = ''): TraceFile[] {
  const names = readdirSync(folder).filter(name => name.startsWith(prefix) && name.endsWith('.jsonl'))
  return names
    .map(name => join(folder, name))
    .flatMap(file => {
      const stats = statSync(file, { throwIfNoEntry: false })
      return stats ? [{ file, bytes: stats.size, writtenAt: stats.mtimeMs }] : []
    })
    .sort((one, other) => one.writtenAt - other.writtenAt)
}

/**
 * Removes one file that nobody wrote to for `keepDays` (0: none); says how many it was. One at a time, so that a clock that
 * is far ahead for a moment does not cost all of them. A process that lives writes on in a new file each day.
 */
export function removeOldTraces(folder: string, keepDays: number, prefix?: string): number {
  try {
    const [oldest] = traceFiles(folder, prefix)
    if (keepDays === 0 || !oldest || Date.now() - oldest.writtenAt < keepDays * dayMs) return 0
    rmSync(oldest.file)
    return 1
  } catch (error) {
    // No folder yet, or another process removed it first.
    if (errorCode(error) === 'ENOENT') return 0
    throw error
  }
}
