import type { Outcome, Owner, PhotoId } from '../photo/record.ts'
import type { Engine } from './engine.ts'
import type { Job, JobStatus, QueueEvent, Stats } from './job.ts'
import { columns, type Row, toJob } from './schema.ts'
import { ours, oursOf, reasonOf, workerLiveMs } from './transitions.ts'

/** Events that may commit while an older event's transaction is open: those of 0.2 s at full speed. */
const maxInFlight = 1_000
/** Most events sent to a reader that resumes. A reader further behind gets a reset. */
const maxMissed = 1_000

export async function look({ sql }: Engine, photo: PhotoId): Promise<JobStatus | 'unknown'> {
  const row = await sql('SELECT state, outcome, durable_at FROM jobs WHERE photo = ?').get<Row>(photo)
  if (!row) return 'unknown'
  const state = row.state === 'claimed' ? 'converting' : row.state
  return { state, outcome: row.outcome, durableAt: row.durable_at }
}

/** Up to 300 photos that were not deleted, whose files must be in storage; of each state the newest. */
export const knownPhotos = async ({ sql }: Engine): Promise<Job[]> => {
  const newest = (where: string, order: string) =>
    `SELECT * FROM (SELECT ${columns} FROM jobs WHERE ${where} ORDER BY ${order} DESC LIMIT 100) AS newest`
  const text = [
    newest(`state = 'queued'`, 'seq'),
    newest(`state = 'claimed'`, 'lease_until'),
    newest(`ended_at > 0 AND state = 'done'`, 'ended_at'),
  ].join(' UNION ALL ')
  return (await sql(text).all<Row>()).map(toJob)
}

type Counts = Omit<Stats, 'oldestSeconds'> & { oldest: number | null }

export async function stats({ sql, clock }: Engine): Promise<Stats> {
  const now = clock()
  const row = (await sql(`SELECT
    (SELECT count(*) FROM jobs WHERE state = 'queued') AS depth,
    (SELECT min(queued_at) FROM jobs WHERE state = 'queued') AS oldest,
    (SELECT count(*) FROM jobs WHERE state = 'claimed') AS claimed,
    (SELECT count(*) FROM jobs WHERE state = 'dead') AS dead,
    coalesce((SELECT max(seq) FROM events), 0) AS "lastEvent",
    coalesce(sum(slots), 0) AS "liveSlots",
    sum(slots) FILTER (WHERE service_seconds > 0)
      / sum(slots / service_seconds) FILTER (WHERE service_seconds > 0) AS "serviceSeconds"
    FROM workers WHERE seen_at BETWEEN ? AND ?`).get(now - workerLiveMs, now + workerLiveMs)) as Counts
  const { oldest, ...counts } = row
  return { ...counts, oldestSeconds: Math.max(0, now - (oldest ?? now)) / 1000 }
}

/** Dead letters, oldest first, with their reasons. */
export async function deadLetters({ sql }: Engine, limit: number) {
  const text = `SELECT ${columns} FROM jobs WHERE state = 'dead' ORDER BY seq LIMIT ?`
  const rows = await sql(text).all<Row>(limit)
  return rows.map(row => ({ job: toJob(row), attempts: row.attempts, reason: reasonOf(row) }))
}

/**
 * Overdue promises without an outcome, oldest first. `tried`: a result may be stored. Promises of another live version
 * follow 10 s later, so that its own web settles them.
 */
export async function overdue(engine: Engine, limit: number): Promise<{ job: Job; tried: boolean }[]> {
  const now = engine.clock()
  const rows = await engine
    .sql(`SELECT ${columns} FROM jobs WHERE promise = 1 AND outcome IS NULL AND promise_by < ?
    AND (promise_by <= ? OR ${ours}) ORDER BY promise_by LIMIT ?`)
    .all<Row>(now, now - workerLiveMs, ...oursOf(engine), limit)
  return rows.map(row => ({ job: toJob(row), tried: row.attempts > 0 }))
}

/** Deleted photos that are not buried, by chance: those that storage does not remove hold up no others. */
export const tombstones = async ({ sql }: Engine, limit: number) =>
  sql(
    `SELECT photo, owner FROM jobs WHERE state = 'deleted' AND ended_at IS NULL ORDER BY random() LIMIT ?`,
  ).all<Pick<Row, 'photo' | 'owner'>>(limit)

/**
 * The last event before the first missing number. PostgreSQL numbers events before their transactions commit, so lower
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
  // With the limit as a parameter SQLite would prepare the statement again for each call.
  sql(`SELECT seq, photo, owner, state FROM events WHERE seq > ? ORDER BY seq LIMIT ${limit}`).all(seq)

/** One owner's events after `after`, oldest first; `reset` when the queue no longer has all of them. */
export async function eventsOf({ sql }: Engine, owner: Owner, after: number) {
  const range = await sql(
    'SELECT (SELECT min(seq) FROM events) AS first, (SELECT max(seq) FROM events) AS last',
  ).get<Record<'first' | 'last', number | null>>()
  const { first, last } = range ?? {}
  if (first == null || last == null || after > last || after < first - 1) return 'reset'
  const events = await sql(
    'SELECT seq, photo, owner, state FROM events WHERE owner = ? AND seq > ? ORDER BY seq LIMIT ?',
  ).all<QueueEvent>(owner, after, maxMissed + 1)
  return events.length > maxMissed ? 'reset' : events
}

/** Recorded outcomes, which tests compare, in pages. */
export const outcomesAfter = async ({ sql }: Engine, seq: number, limit: number) =>
  sql(`SELECT seq, photo, outcome FROM jobs WHERE seq > ? AND outcome IS NOT NULL ORDER BY seq LIMIT ?`).all<{
    seq: number
    photo: PhotoId
    outcome: Outcome
  }>(seq, limit)
