import { join } from 'node:path'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import type { Example, Examples } from '../diagnose/open-examples.ts'
import { readEntries } from './log-entries.ts'
import { attributeOf, spansIn } from './witness/otlp.ts'

const shown = 3

/** The slowest photos of a stage between two times, from the OTLP JSON lines in DATA_DIR/traces. */
export const examplesOf: Examples['examplesOf'] = async ({ dataDir }, stage, sinceMs, toMs) => {
  const slowest: Example[] = []
  for await (const span of spansIn(join(dataDir, 'traces'), sinceMs, `"name":"${stage}"`)) {
    const [photo, session] = [attributeOf(span, attributes.photo), attributeOf(span, attributes.session)]
    const [start, end] = [Number(span.startTimeUnixNano) / 1e6, Number(span.endTimeUnixNano) / 1e6]
    if (span.name !== stage || !photo || !session || end < sinceMs || end > toMs) continue
    slowest.push({ traceId: span.traceId, photo, session, seconds: Math.round(end - start) / 1000 })
    slowest.sort((a, b) => b.seconds - a.seconds).splice(shown)
  }
  return slowest
}

/** The numbers in the debug entries of some jobs, the largest first; none without debug entries. */
export const loggedBy: Examples['loggedBy'] = async (stores, jobs, sinceMs, toMs) => {
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
