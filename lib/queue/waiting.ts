import type { Engine } from './engine.ts'
import { jobFormat } from './schema.ts'

/** A converter announces itself every 2 s. After five missed announcements its slots do not count. */
export const workerLiveMs = 10_000
/** Longest backoff. A later due time was written before the clock was set back, and counts as due now. */
const maxBackoffMs = 5_000
/** SQL: the job is of this process's version, or of one that no live converter has. Parameters: `oursOf`. */
export const ours =
  '(version = ? OR version NOT IN (SELECT version FROM workers WHERE seen_at BETWEEN ? AND ?))'
export const oursOf = ({ settings, clock }: Engine): [string, number, number] => {
  const now = clock()
  return [settings.version, now - workerLiveMs, now + workerLiveMs]
}
/** SQL: a job that this process may claim when it is due. Parameters: `oursOf`. */
const waitsForUs = `state = 'queued' AND format <= ${jobFormat} AND ${ours}`
/** SQL: a job that this process may claim now. Parameters: `dueNowOf`. */
export const dueNow = `${waitsForUs} AND (due_at <= ? OR due_at > ?)`
export const dueNowOf = (engine: Engine): [string, number, number, number, number] => {
  const now = engine.clock()
  return [...oursOf(engine), now, now + maxBackoffMs]
}

/** When a job may be due, epoch ms: now, later, or Infinity. */
export async function nextDue(engine: Engine): Promise<number> {
  const { sql, clock } = engine
  if (await sql(`SELECT 1 AS due FROM jobs WHERE ${dueNow} LIMIT 1`).get(...dueNowOf(engine))) return clock()
  const next = await sql(`SELECT min(at) AS at FROM (
    SELECT min(lease_until) AS at FROM jobs WHERE state = 'claimed'
    UNION ALL SELECT min(due_at) AS at FROM jobs WHERE ${waitsForUs}) AS next`).get<{
    at: number | null
  }>(...oursOf(engine))
  return next?.at ?? Number.POSITIVE_INFINITY
}

export async function countQueued({ sql }: Engine): Promise<number> {
  const row = await sql(`SELECT count(*) AS n FROM jobs WHERE state = 'queued'`).get<{ n: number }>()
  return row?.n ?? 0
}
