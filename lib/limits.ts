import table from './limits.json' with { type: 'json' }
import type { VariableName } from './variables.ts'

/**
 * A bounded resource (`what`), who enforces the bound (`owner`), and what happens when it is reached (`answer`).
 * `value` is in `unit`, or names the variable that sets it.
 */
export type Limit = {
  what: string
  value: number | VariableName
  unit: string
  owner: string
  answer: string
}

type Table = typeof table
export type LimitName = keyof Table
/**
 * Every bounded resource, from limits.json; docs/reference.md shows the table. `tintype_limit_reached_total{limit}`
 * counts each time that one is reached. Limits of web hold for one web process.
 */
export const limits = table as {
  readonly [N in LimitName]: Limit & { value: Table[N]['value'] extends number ? number : VariableName }
}
export const limitNames = Object.keys(limits) as LimitName[]

const reached = new Map<LimitName, number>()
/** Counts from code without a metrics object. Every registry of the process adds them to its own. */
export const countLimit = (name: LimitName, by = 1): void => void reached.set(name, timesReached(name) + by)
/** How often a limit was reached since the start of the process. */
export const timesReached = (name: LimitName): number => reached.get(name) ?? 0

/** Sets an entry, and removes the oldest above `remembered` entries, so that memory does not grow with visitors. */
export function setBounded<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= limits.remembered.value) return
  map.delete(map.keys().next().value as K)
  countLimit('remembered')
}
