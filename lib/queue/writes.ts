import { randomBytes } from 'node:crypto'
import { type FailureReason, isBytesFault, type PhotoId } from '../photo/record.ts'
import type { Outcome } from '../telemetry/catalogue.ts'
import type { Engine } from './engine.ts'
import type { Claim, Job, Marked, Worker } from './index.ts'
import { nextDue } from './reads.ts'
import { type Row, toJob } from './schema.ts'
import { emit, end, expireLeases, find, findHeld, type Held, insert, requeue } from './transitions.ts'

/** The first retry comes after 0.5 to 1 s, the next after 1 to 2 s: three attempts leave most of the minute. */
const firstBackoffMs = 500
const maxBackoffMs = 2_000
/** Outcomes, and which ids are known, are kept so long after a photo's end: a week is asked for. */
const retentionMs = 8 * 86_400_000
/** A reader further behind than this has to look at storage anyway. */
const maxEvents = 50_000
/** Rows deleted in one transaction: a few milliseconds. */
const purgeAtMost = 2_000

export function enqueue(engine: Engine, job: Job): 'queued' | 'already' | 'full' {
  if (find(engine, job.photo)) return 'already'
  const { sql, limits } = engine
  engine.depth ??= Number(sql(`SELECT count(*) AS n FROM jobs WHERE state = 'queued'`).get()?.n)
  if (engine.depth >= limits.maxDepth) return 'full'
  insert(engine, job, 'queued', null)
  emit(engine, job, 'queued')
  engine.depth++
  return 'queued'
}

export function claim(engine: Engine, worker: string, leaseMs: number): Claim | { nothingBefore: number } {
  expireLeases(engine)
  const now = engine.clock()
  const row = engine
    .sql(`SELECT * FROM jobs WHERE state = 'queued' AND due_at <= ? ORDER BY priority, seq LIMIT 1`)
    .get(now) as Row | undefined
  if (!row) return { nothingBefore: nextDue(engine) }
  const lease = {
    token: randomBytes(12).toString('hex'),
    attempt: row.attempts + 1,
    leaseUntil: now + leaseMs,
  }
  engine
    .sql(`UPDATE jobs SET state = 'claimed', worker = ?, token = ?, attempts = ?, lease_until = ?,
      queued_at = NULL, due_at = NULL WHERE seq = ?`)
    .run(worker, lease.token, lease.attempt, lease.leaseUntil, row.seq)
  emit(engine, row, 'converting')
  return {
    job: toJob(row),
    ...lease,
    lastAttempt: lease.attempt >= engine.limits.maxAttempts,
    waitedMs: now - (row.queued_at ?? now),
  }
}

export function renew(engine: Engine, held: Held, leaseMs: number): 'held' | 'stale' {
  const row = findHeld(engine, held)
  if (!row) return 'stale'
  engine.sql('UPDATE jobs SET lease_until = ? WHERE seq = ?').run(engine.clock() + leaseMs, row.seq)
  return 'held'
}

export function complete(engine: Engine, held: Held, durableAt: number): { marked: Marked } | 'stale' {
  const row = findHeld(engine, held)
  if (!row) return 'stale'
  const marked = end(engine, row, 'done', durableAt <= row.promise_by ? 'kept' : 'broken')
  emit(engine, row, 'ready')
  return { marked }
}

export function fail(
  engine: Engine,
  held: Held,
  reason: FailureReason,
): { next: 'retry'; at: number } | { next: 'failed' | 'dead'; marked: Marked } | 'stale' {
  const row = findHeld(engine, held)
  if (!row) return 'stale'
  if (isBytesFault(reason)) {
    emit(engine, row, 'failed')
    return { next: 'failed', marked: end(engine, row, 'done', voidIfInTime(engine, row)) }
  }
  if (row.attempts < engine.limits.maxAttempts) {
    const at = engine.clock() + backoffMs(row.attempts)
    requeue(engine, row, at, row.attempts)
    return { next: 'retry', at }
  }
  emit(engine, row, 'failed')
  return { next: 'dead', marked: end(engine, row, 'dead', 'broken', reason) }
}

export function release(engine: Engine, held: Held): 'released' | 'stale' {
  const row = findHeld(engine, held)
  if (!row) return 'stale'
  requeue(engine, row, engine.clock(), row.attempts - 1)
  return 'released'
}

export function cancel(engine: Engine, photo: PhotoId): { marked: Marked } | 'unknown' {
  const row = find(engine, photo)
  if (!row) return 'unknown'
  emit(engine, row, 'deleted')
  return { marked: end(engine, row, 'done', voidIfInTime(engine, row)) }
}

export function markOverdue(engine: Engine, now: number): Job[] {
  expireLeases(engine)
  const rows = engine
    .sql(`UPDATE jobs SET outcome = 'broken' WHERE seq IN (
        SELECT seq FROM jobs WHERE promise = 1 AND outcome IS NULL AND promise_by <= ?
        UNION ALL SELECT seq FROM jobs WHERE state = 'dead' AND promise = 1 AND outcome IS NULL)
      RETURNING *`)
    .all(now) as Row[]
  for (const row of rows) emit(engine, row, 'overdue')
  return rows.map(toJob)
}

export function announce({ sql, clock }: Engine, { id, slots, serviceSeconds }: Worker): void {
  sql(`INSERT INTO workers (id, slots, service_seconds, seen_at) VALUES (?, ?, ?, ?) ON CONFLICT (id)
    DO UPDATE SET slots = excluded.slots, service_seconds = excluded.service_seconds, seen_at = excluded.seen_at`).run(
    id,
    slots,
    serviceSeconds,
    clock(),
  )
}

export function replay(engine: Engine, photo: PhotoId): 'queued' | 'unknown' {
  const row = find(engine, photo)
  if (row?.state !== 'dead') return 'unknown'
  requeue(engine, row, engine.clock(), 0)
  return 'queued'
}

export function restore(
  engine: Engine,
  job: Job,
  { outcome }: { outcome: Outcome | null },
): 'restored' | 'already' {
  return insert(engine, job, 'done', outcome) ? 'restored' : 'already'
}

/** Keeps the file bounded, a little at a time. */
export function purge({ sql, clock }: Engine): void {
  const endedBefore = clock() - retentionMs
  sql('DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE ended_at < ? LIMIT ?)').run(
    endedBefore,
    purgeAtMost,
  )
  sql(`DELETE FROM events WHERE seq IN (SELECT seq FROM events
    WHERE seq <= (SELECT max(seq) FROM events) - ? LIMIT ?)`).run(maxEvents, purgeAtMost)
  sql('DELETE FROM workers WHERE seen_at < ?').run(endedBefore)
}

/** Late is late: neither bad bytes nor a deletion undo a minute that is over. */
const voidIfInTime = ({ clock }: Engine, row: Row): Outcome => (clock() <= row.promise_by ? 'void' : 'broken')

/** Doubling, with jitter, which keeps photos that failed together from coming back together. */
const backoffMs = (attempts: number): number =>
  Math.min(firstBackoffMs * 2 ** (attempts - 1), maxBackoffMs) * (1 + Math.random())
