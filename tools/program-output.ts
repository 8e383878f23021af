import { copyFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

/** A program's output is emptied at this size. Its previous content, as large, stays beside it. */
export const maxOutputBytes = 16 * 2 ** 20
export const boundEveryMs = 60_000

export const outputOf = ({ folder }: { folder: string }): string => join(folder, 'output.log')

/** A full file is copied to FILE.1 and emptied. It is not renamed, because the program goes on writing to it. */
export function boundOutput(file: string): void {
  try {
    if (statSync(file).size < maxOutputBytes) return
    copyFileSync(file, `${file}.1`)
    truncateSync(file)
  } catch {
    // The file is gone or the disk is full: it is tried again a minute later.
  }
}
