import { copyFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

/** Size of a program's output at which it is emptied; as much is kept beside it. */
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
    // The file is gone or the disk is full: tried again a minute later.
  }
}
