import { type FailureReason, isBytesFault, type Outcome, type Owner, type PhotoId } from '../photo/record.ts'
import type { Engine } from './engine.ts'
import { type Ended, type Job, type Lease, type Marked, retentionMs, type Worker } from './job.ts'
import { columns, type Row } from './schema.ts'
import * as table from './transitions.ts'

/** Retries follow after 0.5 to 1 s, 1 to 2 s, at most 4 s, so that three attempts use little of the minute. */
const firstBackoffMs = 500
/** After so many restored attempts further suspensions are charged as attempts. */
const maxForgiven = 10
/** Events kept. A reader further behind must read storage. */
const maxEvents = 50_000
/** Rows deleted in one transaction, which takes a few milliseconds. */
const purgeAtMost = 2_000

/**
 * Idempotent by photo id, also after the job ended. `queuedAt`: when stage `wait` began, epoch ms; default: now.
 * `isAgain`: the photo's row was purged between the insert and the read. A second time it is a trigger that skips rows.
 */
export async function enqueue(
  engine: Engine,
  job: Job,
  queuedAt = engine.clock(),
  isAgain = false,
): Promise<'queued' | 'already' | 'full' | 'deleted'> {
  engine.depth ??= await table.countQueued(engine)
  const hasRoom = engine.depth < engine.settings.maxDepth
  if (hasRoom) {
    engine.depth++ // before the insert, because PostgreSQL runs several enqueues of a transaction concurrently
    if (await table.insertRow(engine, job, { state: 'queued', queued_at: queuedAt, due_at: 0 })) {
      table.emit(engine, job, 'queued')
      return 'queued'
    }
    engine.depth--
  }
  const known = await table.findRow(engine, job.photo)
  if (known) return known.state === 'deleted' ? 'deleted' : 'already'
  if (!hasRoom) return 'full'
  if (isAgain) throw new Error('the database neither adds a photo nor has it: a trigger or policy on jobs?')
  return enqueue(engine, job, queuedAt, true)
}

/** The next waiting photo; null when none is due, or other processes are claiming all that are. */
export const claim = async (engine: Engine, worker: string, leaseMs: number): Promise<table.Claim | null> =>
  (await claimAll(engine, [{ worker, leaseMs }]))[0] ?? null

/** The next waiting photos, at most one for each request, in their order. */
export async function claimAll(engine: Engine, requests: table.ClaimRequest[]): Promise<table.Claim[]> {
  // With LIMIT as a parameter SQLite takes seven times as long.
  const text = `SELECT ${columns} FROM jobs WHERE ${table.dueNow}
    ORDER BY seq LIMIT ${requests.length} FOR UPDATE SKIP LOCKED`
  const next = () => engine.sql(text).all<Row>(...table.dueNowOf(engine))
  const [anyExpired, first] = await Promise.all([table.expireLeases(engine), next()])
  const rows = anyExpired ? await next() : first
  return rows.map((row, i) => table.lease(engine, row, requests[i] as table.ClaimRequest))
}

/** Leases photos whose last attempt died with its worker, oldest first. The caller ends them; it is no further attempt. */
export async function claimLost(engine: Engine, request: table.ClaimRequest, limit: number) {
  await table.expireLeases(engine)
  const rows = await engine
    .sql(`SELECT ${columns} FROM jobs WHERE state = 'lost' AND ${table.ours}
    ORDER BY seq LIMIT ? FOR UPDATE SKIP LOCKED`)
    .all<Row>(...table.oursOf(engine), limit)
  return rows.map(row => table.lease(engine, { ...row, attempts: row.attempts - 1 }, request))
}

/** Extends a lease. `stale` restores the attempt: the caller was suspended past its lease and did not die. */
export async function renew(engine: Engine, lease: Lease, leaseMs: number): Promise<'held' | 'stale'> {
  const row = await table.findLeased(engine, lease)
  if (row) table.updateRow(engine, row, { lease_ms: leaseMs, lease_until: engine.clock() + leaseMs })
  else await forgive(engine, lease)
  return row ? 'held' : 'stale'
}

/** Restores the attempt of an expired lease whose worker is alive and was only suspended. */
async function forgive(engine: Engine, { job, token }: Lease): Promise<void> {
  await table.expireLeases(engine)
  const row = await engine
    .sql(`SELECT ${columns} FROM jobs WHERE photo = ? AND expired = ? AND forgiven < ?
    AND state IN ('queued', 'claimed', 'lost') FOR UPDATE`)
    .get<Row>(job.photo, token, maxForgiven)
  if (!row) return
  if (row.state === 'lost') table.requeue(engine, row, { attempts: row.attempts })
  table.updateRow(engine, row, { attempts: row.attempts - 1, forgiven: row.forgiven + 1, expired: null })
}

/** Ends the job as done. The outcome is kept when result.json was durable (epoch ms) by promiseBy, else broken. */
export async function complete(engine: Engine, lease: Lease, durableAt: number): Promise<Ended> {
  const row = await table.findLeased(engine, lease)
  if (!row) return 'stale'
  const outcome = durableAt <= row.promise_by ? 'kept' : 'broken'
  if (isLate(row, outcome)) return 'late'
  table.emit(engine, row, 'ready')
  return table.end(engine, row, 'done', outcome, { durableAt })
}

/** Whether the promise is marked broken although the result gives it another outcome. */
const isLate = (row: Row, outcome: Outcome | null): boolean =>
  row.outcome === 'broken' && outcome !== 'broken' && outcome !== null

/**
 * Ends the job of a bad file at once (void, or broken when `failedAt`, epoch ms, is late). Other failures are retried
 * with backoff; after the last attempt the job is a dead letter and its promise broken.
 */
export async function fail(
  engine: Engine,
  lease: Lease,
  reason: FailureReason,
  failedAt: number,
): Promise<{ next: 'retry'; at: number } | { next: 'failed' | 'dead'; marked: Marked } | 'late' | 'stale'> {
  const row = await table.findLeased(engine, lease)
  if (!row) return 'stale'
  if (isBytesFault(reason)) {
    const outcome = failedAt <= row.promise_by ? 'void' : 'broken'
    if (isLate(row, outcome)) return 'late'
    table.emit(engine, row, 'failed')
    return { next: 'failed', ...table.end(engine, row, 'done', outcome) }
  }
  if (row.attempts < engine.settings.maxAttempts) {
    const at = engine.clock() + backoffMs(row.attempts)
    table.requeue(engine, row, { attempts: row.attempts, due_at: at, reason: table.asciiJson(reason) })
    return { next: 'retry', at }
  }
  table.emit(engine, row, 'failed')
  return { next: 'dead', ...table.end(engine, row, 'dead', 'broken', { reason }) }
}

/** Returns an unfinished claim without charging the attempt. Its time counts as waiting if conversion had not begun. */
export async function release(engine: Engine, lease: Lease, begun = true): Promise<'released' | 'stale'> {
  const row = await table.findLeased(engine, lease)
  if (!row) return 'stale'
  const wait = { queued_at: row.claimed_at, converted_ms: row.converted_ms }
  table.requeue(engine, row, { attempts: row.attempts - 1, ...(begun ? {} : wait) })
  return 'released'
}

/** Ends the job and leaves a tombstone until `bury`. An open promise becomes void, or broken when late. */
export async function remove(engine: Engine, photo: PhotoId, owner: Owner): Promise<{ marked: Marked }> {
  const unknown: Job = { photo, owner, receivedAt: 0, promiseBy: 0, promise: false }
  if (await table.insertRow(engine, unknown, { state: 'deleted' })) {
    table.emit(engine, unknown, 'deleted')
    return { marked: null }
  }
  const row = (await table.findRow(engine, photo)) as Row
  if (row.state === 'deleted') return { marked: null }
  table.emit(engine, row, 'deleted')
  return table.end(engine, row, 'deleted', engine.clock() <= row.promise_by ? 'void' : 'broken')
}

/** Called when storage has no file of a deleted photo left. Its tombstone is then purged by age. */
export async function bury({ sql, clock }: Engine, photo: PhotoId): Promise<void> {
  sql(`UPDATE jobs SET ended_at = ? WHERE photo = ? AND state = 'deleted'`).send(clock(), photo)
}

/** Gives an overdue promise its outcome, at most once over all processes. */
export async function mark(engine: Engine, photo: PhotoId, outcome: Outcome): Promise<Marked> {
  const { changes } = await engine
    .sql('UPDATE jobs SET outcome = ? WHERE photo = ? AND promise = 1 AND outcome IS NULL')
    .run(outcome, photo)
  if (changes === 0) return null
  const row = (await table.findRow(engine, photo)) as Row
  table.emit(engine, row, 'overdue')
  return outcome
}

/** Ignores an announcement without slots, and keeps a measured service time, so that a restart refuses no upload. */
export async function announce({ sql, clock, settings }: Engine, { id, slots, serviceSeconds }: Worker) {
  if (slots === 0) return
  sql(`INSERT INTO workers (id, slots, service_seconds, seen_at, version) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id)
    DO UPDATE SET slots = excluded.slots, seen_at = excluded.seen_at, version = excluded.version,
      service_seconds = coalesce(nullif(excluded.service_seconds, 0), workers.service_seconds)`).send(
    ...[id, slots, serviceSeconds, clock(), settings.version],
  )
}

/** Enqueues a photo that ended again, with fresh attempts: a dead letter, or one whose result is lost. Its outcome stays. */
export async function replay(engine: Engine, photo: PhotoId): Promise<'queued' | 'unknown'> {
  const row = await table.findRow(engine, photo)
  if (row?.state !== 'dead' && row?.state !== 'done') return 'unknown'
  table.requeue(engine, row, { attempts: 0, reason: null, durable_at: null })
  return 'queued'
}

/** After the loss of the queue: adds a photo that has a result, with its outcome, which is not counted again. */
export async function restore(engine: Engine, job: Job, outcome: Outcome | null) {
  const isNew = await table.insertRow(engine, job, { state: 'done', ended_at: engine.clock(), outcome })
  return isNew ? ('restored' as const) : ('known' as const)
}

/** Removes dead letters that ended before a time, epoch ms, a limited number a call. Returns how many. */
export async function expireDead({ sql }: Engine, endedBefore: number): Promise<number> {
  const { changes } = await sql(`DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs
    WHERE state = 'dead' AND ended_at < ? LIMIT ? FOR UPDATE SKIP LOCKED)`).run(endedBefore, purgeAtMost)
  return changes
}

/** Removes old rows, a limited number at a time. Dead letters are removed by `expireDead`. */
export async function purge({ sql, clock }: Engine): Promise<void> {
  const endedBefore = clock() - retentionMs
  sql(`DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs
    WHERE ended_at < ? AND state <> 'dead' LIMIT ${purgeAtMost} FOR UPDATE SKIP LOCKED)`).send(endedBefore)
  sql(`DELETE FROM events WHERE seq IN (SELECT seq FROM events
    WHERE seq <= (SELECT max(seq) FROM events) - ${maxEvents} LIMIT ${purgeAtMost} FOR UPDATE SKIP LOCKED)`).send()
  sql('DELETE FROM workers WHERE seen_at < ?').send(endedBefore)
}

/** Doubles with each attempt, with jitter, so that photos that failed together are not retried together. */
const backoffMs = (attempts: number): number =>
  Math.min(firstBackoffMs * 2 ** (attempts - 1), 2_000) * (1 + Math.random())
