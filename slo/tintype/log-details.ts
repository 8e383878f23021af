import type { Logged, Stores } from '../diagnose/open-examples.ts'
import { readEntries } from './log-entries.ts'

/** The numbers in the debug entries of some jobs, the largest first; none while no detail was raised. */
export async function loggedBy(
  stores: Stores,
  jobs: readonly string[],
  sinceMs: number,
  toMs: number,
): Promise<Logged[]> {
  const sums = new Map<string, { sum: number; times: number }>()
  const isWhole = await readEntries(stores, { level: 'debug' }, sinceMs, toMs, ({ id, payload }) => {
    if (!jobs.some(job => id.startsWith(`${job}.`))) return
    const head = [payload.event, payload.operation].filter(Boolean).join(' ')
    for (const [key, value] of Object.entries(payload)) {
      if (typeof value !== 'number') continue
      const { sum = 0, times = 0 } = sums.get(`${head} ${key}`) ?? {}
      sums.set(`${head} ${key}`, { sum: sum + value, times: times + 1 })
    }
  })
  if (!isWhole) return []
  return [...sums]
    .map(([what, { sum, times }]) => ({ what, mean: sum / times, times }))
    .sort((a, b) => b.mean - a.mean)
}
