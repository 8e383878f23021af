import { existsSync, readFileSync } from 'node:fs'

/** How many files the system lets this process open; Infinity where it does not say. */
export function mostFiles(): number {
  if (!existsSync('/proc/self/limits')) return Number.POSITIVE_INFINITY
  const [, files] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  return Number(files ?? Number.POSITIVE_INFINITY)
}
