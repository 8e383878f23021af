import { existsSync, writeFileSync } from 'node:fs'

/** A file beside SLOW_WHILE, written once something was slow because of it. */
export const feltFile = (file: string): string => `${file}.felt`

/** Whether the file SLOW_WHILE exists: the caller is slow then. */
export function isSlow(): boolean {
  const file = process.env.SLOW_WHILE ?? ''
  if (!existsSync(file)) return false
  writeFileSync(feltFile(file), '')
  return true
}
