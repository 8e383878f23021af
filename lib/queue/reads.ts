import type { FailureReason, Outcome, Owner, PhotoId } from '../photo/record.ts'
import type { Engine } from './engine.ts'
import type { Job, Look, QueueEvent, Stats } from './queue.ts'
import { jobFormat, type Row, toJob } from './schema.ts'

/** A converter announces itself every 2 s. After five missed announcements its slots do not count. */
const workerLiveMs = 10_000
/** Longest backoff. A later due time was written before the clock was set back, and counts as due now. */
export const maxBackoffMs = 5_000
/** Events that may commit while an older one's transaction is open: 0.2 s of them at full speed. */
const maxInFlight = 1_000
/** Most events sent to a reader that resumes. One further behind gets a reset. */
const maxMissed = 1_000

/** SQL: the job is of this process's version, or of one that no live converter has. Parameters: `oursOf`. */
export const ours =
  '(version = ? OR version NOT IN (SELECT version FROM workers WHERE seen_at BETWEEN ? AND ?))'
export const oursOf = ({ limits, clock }: Engine): [string, number, number] => {
  const now = clock()
  return [limits.version, now - workerLiveMs, now + workerLiveMs]
}
/** SQL: a job that this process may claim when it is due. Parameters: `oursOf`. */
export const waitsForUs = `state = 'queued' AND format <= ${jobFormat} AND ${ours}`

/** When a job may be due: now, later, or Infinity. */
export async function nextDue(engine: Engine): Promise<number> {
  const { sql, clock } = engine
  const now = clock()
  const ready = await sql(
    `SELECT 1 AS due FROM jobs WHERE ${waitsForUs} AND (due_at <= ? OR due_at > ?) LIMIT 1`,
  ).get(...oursOf(engine), now, now + maxBackoffMs)
  if (ready) return now
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

export async function look({ sql }: Engine, photo: PhotoId): Promise<Look | 'unknown'> {
  const row = await sql('SELECT state, outcome, durable_at FROM jobs WHERE photo = ?').get<Row>(photo)
  if (!row) return 'unknown'
  const state = row.state === 'claimed' ? 'converting' : row.state
  return { state, outcome: row.outcome, durableAt: row.durable_at }
}

export async function stats({ sql, clock }: Engine): Promise<Stats> {
  const now = clock()
  const row = (await sql(`SELECT
    (SELECT count(*) FROM jobs WHERE state = 'queued') AS depth,
    (SELECT min(queued_at) FROM jobs WHERE state = 'queued') AS oldest,
    (SELECT count(*) FROM jobs WHERE state = 'claimed') AS claimed,
    (SELECT count(*) FROM jobs WHERE state = 'dead') AS dead,
    (SELECT max(seq) FROM events) AS "lastEvent",
    coalesce(sum(slots), 0) AS slots,
    coalesce(sum(slots) FILTER (WHERE service_seconds > 0), 0) AS measured,
    coalesce(sum(slots / service_seconds) FILTER (WHERE service_seconds > 0), 0) AS "photosPerSecond"
    FROM workers WHERE seen_at BETWEEN ? AND ?`).get(now - workerLiveMs, now + workerLiveMs)) as StatsRow
  return {
    depth: row.depth,
    lastEvent: row.lastEvent ?? 0,
    oldestSeconds: row.oldest === null ? 0 : Math.max(0, now - row.oldest) / 1000,
    claimed: row.claimed,
    dead: row.dead,
    liveSlots: row.slots,
    serviceSeconds: row.measured > 0 ? row.measured / row.photosPerSecond : null,
  }
}

type StatsRow = Record<'depth' | 'claimed' | 'dead' | 'slots' | 'measured' | 'photosPerSecond', number> &
  Record<'oldest' | 'lastEvent', number | null>

export async function deadLetters(
  { sql }: Engine,
  limit: number,
): Promise<{ job: Job; attempts: number; reason: FailureReason }[]> {
  const rows = await sql(`SELECT * FROM jobs WHERE state = 'dead' ORDER BY seq LIMIT ?`).all<Row>(limit)
  return rows.map(row => ({
    job: toJob(row),
    attempts: row.attempts,
    reason: JSON.parse(row.reason ?? 'null'),
  }))
}

/** Another version's web settles its own overdue promises. When it is gone, this version takes them 10 s later. */
export async function overdue(engine: Engine, limit: number): Promise<{ job: Job; tried: boolean }[]> {
  const now = engine.clock()
  const rows = await engine
    .sql(`SELECT * FROM jobs WHERE promise = 1 AND outcome IS NULL AND promise_by <= ? AND (promise_by <= ? OR ${ours})
    ORDER BY promise_by LIMIT ?`)
    .all<Row>(now, now - workerLiveMs, ...oursOf(engine), limit)
  return rows.map(row => ({ job: toJob(row), tried: row.attempts > 0 }))
}

export async function lost(engine: Engine, limit: number): Promise<Job[]> {
  const rows = await engine
    .sql(`SELECT * FROM jobs WHERE state = 'lost' AND ${ours} ORDER BY seq LIMIT ?`)
    .all<Row>(...oursOf(engine), limit)
  return rows.map(toJob)
}

export const tombstones = async (
  { sql }: Engine,
  limit: number,
): Promise<{ photo: PhotoId; owner: Owner }[]> =>
  sql(`SELECT photo, owner FROM jobs WHERE state = 'deleted' AND ended_at IS NULL ORDER BY seq LIMIT ?`).all(
    limit,
  )

/**
 * The last event before the first missing number. A server numbers events before their transactions commit, so that lower
 * numbers can appear after higher ones.
 */
export async function lastEvent({ sql }: Engine): Promise<number> {
  const newest = await sql(
    'SELECT seq FROM events WHERE seq > (SELECT max(seq) FROM events) - ? ORDER BY seq DESC',
  ).all<{ seq: number }>(maxInFlight)
  const lowestHole = newest.findLastIndex(({ seq }, i) => i > 0 && seq !== (newest[i - 1]?.seq ?? 0) - 1)
  return newest[Math.max(0, lowestHole)]?.seq ?? 0
}

export const eventsAfter = async ({ sql }: Engine, seq: number, limit: number): Promise<QueueEvent[]> =>
  sql('SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?').all(seq, limit)

export async function eventsOf(
  { sql }: Engine,
  owner: Owner,
  after: number,
): Promise<QueueEvent[] | 'reset'> {
  const range = await sql(
    'SELECT (SELECT min(seq) FROM events) AS first, (SELECT max(seq) FROM events) AS last',
  ).get<{
    first: number | null
    last: number | null
  }>()
  const { first, last } = range ?? {}
  if (first == null || last == null || after > last || after < first - 1) return 'reset'
  const events = await sql(
    'SELECT * FROM events WHERE owner = ? AND seq > ? ORDER BY seq LIMIT ?',
  ).all<QueueEvent>(owner, after, maxMissed + 1)
  return events.length > maxMissed ? 'reset' : events
}

export const outcomesAfter = async (
  { sql }: Engine,
  seq: number,
  limit: number,
): Promise<{ seq: number; photo: PhotoId; outcome: Outcome }[]> =>
  sql(`SELECT seq, photo, outcome FROM jobs WHERE seq > ? AND outcome IS NOT NULL ORDER BY seq LIMIT ?`).all(
    seq,
    limit,
  )
