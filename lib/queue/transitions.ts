import { randomBytes } from 'node:crypto'
import type { FailureReason, Outcome, Owner, PhotoId } from '../photo/record.ts'
import type { Engine, NewEvent } from './engine.ts'
import type { Claim, Job, Marked, QueueEvent } from './queue.ts'
import { jobFormat, type Row, toJob } from './schema.ts'

export type Lease = { photo: PhotoId; token: string }

/** The photo's row, locked for the caller's change. */
export const find = async ({ sql }: Engine, photo: PhotoId): Promise<Row | undefined> =>
  sql(`SELECT * FROM jobs WHERE photo = ? FOR UPDATE`).get(photo)

/** The photo's row if the caller still holds its lease. An expired lease does not count, even when no other worker claimed it. */
export const findLeased = async ({ sql, clock }: Engine, { photo, token }: Lease): Promise<Row | undefined> =>
  sql(
    `SELECT * FROM jobs WHERE photo = ? AND state = 'claimed' AND token = ? AND lease_until > ? FOR UPDATE`,
  ).get(photo, token, clock())

/** Adds a photo. False when it is known. */
export async function insert(
  { sql, clock, limits }: Engine,
  job: Job,
  state: 'queued' | 'done' | 'deleted',
  { outcome = null, queuedAt = null }: { outcome?: Outcome | null; queuedAt?: number | null } = {},
): Promise<boolean> {
  const { changes } = await sql(`INSERT INTO jobs (photo, owner, received_at, promise_by, promise,
      traceparent, detail_until, state, queued_at, due_at, ended_at, outcome, version, format)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ${jobFormat}) ON CONFLICT (photo) DO NOTHING`).run(
    job.photo,
    job.owner,
    job.receivedAt,
    job.promiseBy,
    job.promise ? 1 : 0,
    job.traceparent ?? null,
    job.detailUntil ?? null,
    state,
    queuedAt,
    state === 'queued' ? 0 : null,
    state === 'done' ? clock() : null,
    outcome,
    limits.version,
  )
  return changes === 1
}

/** Adds a tombstone, which refuses every enqueue of the photo. False when the photo is known. */
export const insertTombstone = (engine: Engine, photo: PhotoId, owner: Owner): Promise<boolean> =>
  insert(engine, { photo, owner, receivedAt: 0, promiseBy: 0, promise: false }, 'deleted')

export type ClaimRequest = { worker: string; leaseMs: number }

/** Leases a waiting photo to a worker. */
export function lease(engine: Engine, row: Row, { worker, leaseMs }: ClaimRequest): Claim {
  const now = engine.clock()
  const token = randomBytes(12).toString('hex')
  const attempt = row.attempts + 1
  const waitedMs = since(now, row.queued_at)
  engine
    .sql(`UPDATE jobs SET state = 'claimed', worker = ?, token = ?, attempts = ?, waited_ms = ?, claimed_at = ?,
      lease_ms = ?, lease_until = ?, queued_at = NULL, due_at = NULL WHERE seq = ?`)
    .send(worker, token, attempt, row.waited_ms + waitedMs, now, leaseMs, now + leaseMs, row.seq)
  emit(engine, row, 'converting')
  return {
    job: toJob(row),
    token,
    attempt,
    lastAttempt: attempt >= engine.limits.maxAttempts,
    claimedAt: now,
    leaseUntil: now + leaseMs,
    waitedMs,
    earlier: { waitedMs: row.waited_ms, convertedMs: row.converted_ms },
  }
}

/** Enqueues the job again, in its old place once it is due. */
export function requeue(
  engine: Engine,
  row: Row,
  { dueAt = 0, attempts, expired = null }: { dueAt?: number; attempts: number; expired?: string | null },
): void {
  const { sql, clock } = engine
  const now = clock()
  sql(`UPDATE jobs SET state = 'queued', queued_at = ?, due_at = ?, attempts = ?, converted_ms = ?,
    expired = ?, worker = NULL, token = NULL, claimed_at = NULL, lease_ms = NULL, lease_until = NULL,
    ended_at = NULL, reason = NULL WHERE seq = ?`).send(
    now,
    dueAt,
    Math.max(0, attempts),
    row.converted_ms + since(now, row.claimed_at),
    expired,
    row.seq,
  )
  emit(engine, row, 'queued')
}

/** Milliseconds since a stamp; 0 without one, or when the clock was set back since. */
export const since = (now: number, stamp: number | null): number => Math.max(0, now - (stamp ?? now))

/** Ends a job. Its promise gets this outcome unless it has one. */
export function end(
  { sql, clock }: Engine,
  row: Row,
  state: 'lost' | 'done' | 'dead' | 'deleted',
  outcome: Outcome | null,
  { reason = null, durableAt = null }: { reason?: FailureReason | null; durableAt?: number | null } = {},
): { marked: Marked } {
  const marked = row.promise && !row.outcome ? outcome : null
  const ended = state === 'done' || state === 'dead'
  sql(`UPDATE jobs SET state = ?, ended_at = ?, durable_at = ?, reason = ?, outcome = coalesce(outcome, ?),
    queued_at = NULL, due_at = NULL, expired = token, worker = NULL, token = NULL,
    claimed_at = NULL, lease_ms = NULL, lease_until = NULL WHERE seq = ?`).send(
    state,
    ended ? clock() : null,
    durableAt,
    reason && JSON.stringify(reason),
    marked,
    row.seq,
  )
  return { marked }
}

/**
 * Takes back the jobs of dead workers. After the last attempt the photo is lost: a result must be stored before it ends. A
 * lease that ends later than its length from now was given before the clock was set back, and begins anew.
 * Returns whether any lease had expired.
 */
export async function expireLeases(engine: Engine): Promise<boolean> {
  const { sql, clock, limits } = engine
  const now = clock()
  if (engine.sweptAt === now) return false
  engine.sweptAt = now
  sql(`UPDATE jobs SET lease_until = ? + lease_ms, claimed_at = ? WHERE seq IN (SELECT seq FROM jobs
    WHERE state = 'claimed' AND lease_until > ? AND lease_until > ? + lease_ms FOR UPDATE SKIP LOCKED)`).send(
    now,
    now,
    now,
    now,
  )
  const expired = await sql(
    `SELECT * FROM jobs WHERE state = 'claimed' AND lease_until <= ? FOR UPDATE SKIP LOCKED`,
  ).all<Row>(now)
  for (const row of expired) {
    if (row.attempts < limits.maxAttempts)
      requeue(engine, row, { attempts: row.attempts, expired: row.token })
    else end(engine, row, 'lost', null)
  }
  return expired.length > 0
}

export function emit(engine: Engine, { photo, owner }: Job | Row, state: QueueEvent['state']): void {
  engine.hasNews = true
  engine.emit({ photo, owner, state })
}

/** Writes events, in order. */
export function insertEvents({ sql }: Pick<Engine, 'sql'>, events: NewEvent[]): void {
  const values = '(?, ?, ?), '.repeat(events.length).slice(0, -2)
  sql(`INSERT INTO events (photo, owner, state) VALUES ${values}`).send(
    ...events.flatMap(({ photo, owner, state }) => [photo, owner, state]),
  )
}
