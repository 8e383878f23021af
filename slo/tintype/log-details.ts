import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Logged } from '../diagnose/examples.ts'
import { linesWith } from './witness/lines.ts'

type Entry = { id: string; timestamp: string; payload: Record<string, unknown> }

/** The means of the numbers in the debug entries of some services' logs, the largest first; none without raised detail. */
export async function toldOf(
  dataDir: string,
  jobs: readonly string[],
  sinceMs: number,
  toMs: number,
): Promise<Logged[]> {
  const sums = new Map<string, { sum: number; times: number }>()
  const folder = join(dataDir, 'logs/streams', new Date(toMs).toISOString().slice(0, 10))
  const names = existsSync(folder) ? readdirSync(folder) : []
  const own = names.filter(name => jobs.some(job => name.startsWith(`${job}.`)))
  for (const name of own)
    for await (const line of linesWith(join(folder, name), '"level":"debug"')) {
      const { timestamp, payload } = JSON.parse(line) as Entry
      const at = Date.parse(timestamp)
      if (at < sinceMs || at > toMs) continue
      const head = [payload.event, payload.operation].filter(Boolean).join(' ')
      for (const [key, value] of Object.entries(payload)) {
        if (typeof value !== 'number') continue
        const { sum = 0, times = 0 } = sums.get(`${head} ${key}`) ?? {}
        sums.set(`${head} ${key}`, { sum: sum + value, times: times + 1 })
      }
    }
  return [...sums]
    .map(([what, { sum, times }]) => ({ what, mean: sum / times, times }))
    .sort((a, b) => b.mean - a.mean)
}
