import { closeSync, openSync } from 'node:fs'
import { UsageError } from '@tintype/lib/command-line.ts'

/** Checked before long work that ends with writing this file. @throws UsageError when it cannot be written. */
export function checkWritable(option: string, file: string | undefined): void {
  if (file === undefined) return
  try {
    closeSync(openSync(file, 'a'))
  } catch (error) {
    throw new UsageError(`--${option} cannot be written (${(error as Error).message})`)
  }
}
