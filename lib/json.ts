import { readFileSync } from 'node:fs'
import { orElse } from './errors.ts'

/** The value of a JSON file; undefined when it is missing, unreadable, damaged, or not like `sample` (`isLike`). */
export function readJsonFile<T>(file: string, sample: unknown): T | undefined {
  const value = parseJson<T>(orElse('', () => readFileSync(file, 'utf8')))
  return isLike(sample, value) ? value : undefined
}

/** The value of a JSON text; undefined when it is not JSON, such as a line that the disk damaged. */
export const parseJson = <T>(text: string): T | undefined => orElse(undefined, () => JSON.parse(text))

/**
 * Whether a value has the members of a sample, each of its type; a list, elements like the sample's first. For files
 * that another release or a person may have written.
 */
export function isLike(sample: unknown, value: unknown): boolean {
  if (typeof sample !== 'object' || sample === null) return typeof value === typeof sample
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(sample))
    return Array.isArray(value) && (sample.length === 0 || value.every(each => isLike(sample[0], each)))
  const members = value as Readonly<Record<string, unknown>>
  return Object.entries(sample).every(([name, each]) => isLike(each, members[name]))
}
