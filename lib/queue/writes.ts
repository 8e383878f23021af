import type { Outcome } from '../photo/record.ts'
import { type FailureReason, isBytesFault, type Owner, type PhotoId } from '../photo/record.ts'
import type { Engine } from './engine.ts'
import { type Claim, type Ended, type Job, type Marked, retentionMs, type Worker } from './queue.ts'
import { countQueued, maxBackoffMs, nextDue, oursOf, waitsForUs } from './reads.ts'
import type { Row } from './schema.ts'
import {
  type ClaimRequest,
  emit,
  end,
  expireLeases,
  find,
  findLeased,
  insert,
  insertTombstone,
  type Lease,
  lease,
  requeue,
} from './transitions.ts'

/** Retries follow after 0.5 to 1 s, 1 to 2 s, and at most 4 s: three attempts leave most of the minute. */
const firstBackoffMs = 500
/** After so many restored attempts a photo is charged for further suspensions. */
const maxForgiven = 10
/** Events kept. A reader further behind has to read storage. */
const maxEvents = 50_000
/** Rows deleted in one transaction: a few milliseconds. */
const purgeAtMost = 2_000

export async function enqueue(
  engine: Engine,
  job: Job,
  queuedAt = engine.clock(),
): Promise<'queued' | 'already' | 'full' | 'deleted'> {
  engine.depth ??= await countQueued(engine)
  const hasRoom = engine.depth < engine.limits.maxDepth
  if (hasRoom) {
    engine.depth++ // before the insert, because a server runs several enqueues of a transaction concurrently
    if (await insert(engine, job, 'queued', { queuedAt })) {
      emit(engine, job, 'queued')
      return 'queued'
    }
    engine.depth--
  }
  const known = await find(engine, job.photo)
  if (known) return known.state === 'deleted' ? 'deleted' : 'already'
  return hasRoom ? enqueue(engine, job, queuedAt) : 'full'
}

type Claimed = Claim | { nothingBefore: number }

export const claim = async (engine: Engine, worker: string, leaseMs: number): Promise<Claimed> =>
  (await claimAll(engine, [{ worker, leaseMs }]))[0] as Claimed

/** The next waiting photos, at most one for each request. */
export async function claimAll(engine: Engine, requests: ClaimRequest[]): Promise<Claimed[]> {
  const now = engine.clock()
  // With the number as a parameter SQLite takes seven times as long.
  const text = `SELECT * FROM jobs WHERE ${waitsForUs} AND (due_at <= ? OR due_at > ?)
    ORDER BY seq LIMIT ${requests.length} FOR UPDATE SKIP LOCKED`
  const next = () => engine.sql(text).all<Row>(...oursOf(engine), now, now + maxBackoffMs)
  const [anyExpired, first] = await Promise.all([expireLeases(engine), next()])
  const rows = anyExpired ? await next() : first
  const nothingBefore = rows.length < requests.length ? await nextDue(engine) : now
  return requests.map((request, i) => {
    const row = rows[i]
    return row ? lease(engine, row, request) : { nothingBefore }
  })
}

export async function renew(engine: Engine, lease: Lease, leaseMs: number): Promise<'held' | 'stale'> {
  const { sql, clock } = engine
  const row = await findLeased(engine, lease)
  if (row) {
    sql('UPDATE jobs SET lease_ms = ?, lease_until = ? WHERE seq = ?').send(
      leaseMs,
      clock() + leaseMs,
      row.seq,
    )
    return 'held'
  }
  await forgive(engine, lease)
  return 'stale'
}

/** Restores the attempt of an expired lease whose worker is alive: it was suspended and did not die. */
async function forgive(engine: Engine, { photo, token }: Lease): Promise<void> {
  await expireLeases(engine)
  const { sql } = engine
  const row = await sql(`SELECT * FROM jobs WHERE photo = ? AND expired = ? AND forgiven < ?
    AND state IN ('queued', 'claimed', 'lost') FOR UPDATE`).get<Row>(photo, token, maxForgiven)
  if (!row) return
  if (row.state === 'lost') requeue(engine, row, { attempts: row.attempts })
  sql('UPDATE jobs SET attempts = attempts - 1, forgiven = forgiven + 1, expired = NULL WHERE seq = ?').send(
    row.seq,
  )
}

export async function complete(engine: Engine, lease: Lease, durableAt: number): Promise<Ended> {
  const row = await findLeased(engine, lease)
  if (!row) return 'stale'
  const outcome = durableAt <= row.promise_by ? 'kept' : 'broken'
  if (isLate(row, outcome)) return 'late'
  emit(engine, row, 'ready')
  return end(engine, row, 'done', outcome, { durableAt })
}

/** Whether the promise is marked broken although the result gives it another outcome. */
const isLate = (row: Row, outcome: Outcome | null): boolean =>
  row.outcome === 'broken' && outcome !== 'broken' && outcome !== null

export async function fail(
  engine: Engine,
  lease: Lease,
  reason: FailureReason,
  failedAt: number,
): Promise<{ next: 'retry'; at: number } | { next: 'failed' | 'dead'; marked: Marked } | 'late' | 'stale'> {
  const row = await findLeased(engine, lease)
  if (!row) return 'stale'
  if (isBytesFault(reason)) {
    const outcome = failedAt <= row.promise_by ? 'void' : 'broken'
    if (isLate(row, outcome)) return 'late'
    emit(engine, row, 'failed')
    return { next: 'failed', ...end(engine, row, 'done', outcome) }
  }
  if (row.attempts < engine.limits.maxAttempts) {
    const at = engine.clock() + backoffMs(row.attempts)
    requeue(engine, row, { dueAt: at, attempts: row.attempts })
    return { next: 'retry', at }
  }
  emit(engine, row, 'failed')
  return { next: 'dead', ...end(engine, row, 'dead', 'broken', { reason }) }
}

export async function release(engine: Engine, lease: Lease): Promise<'released' | 'stale'> {
  const row = await findLeased(engine, lease)
  if (!row) return 'stale'
  requeue(engine, row, { attempts: row.attempts - 1 })
  return 'released'
}

export async function remove(engine: Engine, photo: PhotoId, owner: Owner): Promise<{ marked: Marked }> {
  if (await insertTombstone(engine, photo, owner)) {
    emit(engine, { photo, owner } as Job, 'deleted')
    return { marked: null }
  }
  const row = (await find(engine, photo)) as Row
  if (row.state === 'deleted') return { marked: null }
  emit(engine, row, 'deleted')
  return end(engine, row, 'deleted', engine.clock() <= row.promise_by ? 'void' : 'broken')
}

export const bar = async (engine: Engine, photo: PhotoId, owner: Owner): Promise<'barred' | 'known'> =>
  (await insertTombstone(engine, photo, owner)) ? 'barred' : 'known'

export async function bury({ sql, clock }: Engine, photo: PhotoId): Promise<void> {
  sql(`UPDATE jobs SET ended_at = ? WHERE photo = ? AND state = 'deleted'`).send(clock(), photo)
}

export async function mark(engine: Engine, photo: PhotoId, outcome: Outcome): Promise<Marked> {
  const { changes } = await engine
    .sql('UPDATE jobs SET outcome = ? WHERE photo = ? AND promise = 1 AND outcome IS NULL')
    .run(outcome, photo)
  if (changes === 0) return null
  const row = (await find(engine, photo)) as Row
  emit(engine, row, 'overdue')
  return outcome
}

export async function endLost(
  engine: Engine,
  photo: PhotoId,
  as:
    | { state: 'done'; durableAt: number; outcome: Outcome | null }
    | { state: 'dead'; reason: FailureReason },
): Promise<Ended> {
  const row = await find(engine, photo)
  if (row?.state !== 'lost') return 'stale'
  const outcome = as.state === 'done' ? as.outcome : 'broken'
  if (isLate(row, outcome)) return 'late'
  emit(engine, row, as.state === 'done' ? 'ready' : 'failed')
  return end(engine, row, as.state, outcome, as)
}

/** So that a restart refuses no upload, an announcement without slots is ignored and a measured service time is kept. */
export async function announce(
  { sql, clock, limits }: Engine,
  { id, slots, serviceSeconds }: Worker,
): Promise<void> {
  if (slots === 0) return
  sql(`INSERT INTO workers (id, slots, service_seconds, seen_at, version) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id)
    DO UPDATE SET slots = excluded.slots, seen_at = excluded.seen_at, version = excluded.version,
      service_seconds = coalesce(nullif(excluded.service_seconds, 0), workers.service_seconds)`).send(
    id,
    slots,
    serviceSeconds,
    clock(),
    limits.version,
  )
}

export async function replay(engine: Engine, photo: PhotoId): Promise<'queued' | 'unknown'> {
  const row = await find(engine, photo)
  if (row?.state !== 'dead') return 'unknown'
  requeue(engine, row, { attempts: 0 })
  return 'queued'
}

export async function restore(
  engine: Engine,
  job: Job,
  { outcome }: { outcome: Outcome | null },
): Promise<'restored' | 'already'> {
  return (await insert(engine, job, 'done', { outcome })) ? 'restored' : 'already'
}

export async function expireDead({ sql, clock }: Engine, ageMs: number): Promise<number> {
  const { changes } = await sql(`DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs
    WHERE state = 'dead' AND ended_at < ? LIMIT ? FOR UPDATE SKIP LOCKED)`).run(clock() - ageMs, purgeAtMost)
  return changes
}

/** Removes old rows, a limited number at a time. Dead letters have their own age. */
export async function purge({ sql, clock }: Engine): Promise<{ more: boolean }> {
  const endedBefore = clock() - retentionMs
  const jobs = await sql(`DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs
    WHERE ended_at < ? AND state <> 'dead' LIMIT ? FOR UPDATE SKIP LOCKED)`).run(endedBefore, purgeAtMost)
  const events = await sql(`DELETE FROM events WHERE seq IN (SELECT seq FROM events
    WHERE seq <= (SELECT max(seq) FROM events) - ? LIMIT ? FOR UPDATE SKIP LOCKED)`).run(
    maxEvents,
    purgeAtMost,
  )
  sql('DELETE FROM workers WHERE seen_at < ?').send(endedBefore)
  return { more: Math.max(jobs.changes, events.changes) >= purgeAtMost }
}

/** Doubling, with jitter, so that photos that failed together are not retried together. */
const backoffMs = (attempts: number): number =>
  Math.min(firstBackoffMs * 2 ** (attempts - 1), 2_000) * (1 + Math.random())
