import { randomBytes } from 'node:crypto'
import type { FailureReason, Outcome, PhotoId } from '../photo/record.ts'
import type { Engine } from './engine.ts'
import type { Job, Lease, Marked, QueueEvent } from './job.ts'
import { columns, jobFormat, type Row, toJob } from './schema.ts'

/** A converter announces itself every 2 s. After five missed announcements its slots no longer count. */
export const workerLiveMs = 10_000
/** Longest backoff. A later due time was written before the clock was set back, and counts as due. */
const maxBackoffMs = 5_000
/** SQL: the job is of this process's version, or of one that no live converter has. Parameters: `oursOf`. */
export const ours =
  '(version = ? OR version NOT IN (SELECT version FROM workers WHERE seen_at BETWEEN ? AND ?))'
export const oursOf = ({ settings, clock }: Engine): [string, number, number] => {
  const now = clock()
  return [settings.version, now - workerLiveMs, now + workerLiveMs]
}
/** SQL: a job that this process may claim now. Parameters: `dueNowOf`. */
export const dueNow = `state = 'queued' AND format <= ${jobFormat} AND ${ours} AND (due_at <= ? OR due_at > ?)`
export const dueNowOf = (engine: Engine): [string, number, number, number, number] => {
  const now = engine.clock()
  return [...oursOf(engine), now, now + maxBackoffMs]
}

export async function countQueued({ sql }: Engine): Promise<number> {
  const row = await sql(`SELECT count(*) AS n FROM jobs WHERE state = 'queued'`).get<{ n: number }>()
  return row?.n ?? 0
}

/** The photo's row, locked for the caller's change. */
export const findRow = async ({ sql }: Engine, photo: PhotoId): Promise<Row | undefined> =>
  sql(`SELECT ${columns} FROM jobs WHERE photo = ? FOR UPDATE`).get(photo)

/** The photo's row if the caller holds its lease. An expired lease does not count, even if no worker took the job. */
export const findLeased = async ({ sql, clock }: Engine, { job, token }: Lease): Promise<Row | undefined> =>
  sql(`SELECT ${columns} FROM jobs WHERE photo = ? AND state = 'claimed' AND token = ? AND lease_until > ?
    FOR UPDATE`).get(job.photo, token, clock())

/** Changes columns of a row that `findRow` locked. */
export function updateRow({ sql }: Engine, { seq }: Row, changed: Partial<Row>): void {
  const assignments = Object.keys(changed).map(column => `${column} = ?`)
  sql(`UPDATE jobs SET ${assignments.join(', ')} WHERE seq = ?`).send(...Object.values(changed), seq)
}

/** Adds a photo. False when it is known. */
export async function insertRow(
  { sql, settings }: Engine,
  job: Job,
  state: Partial<Row> & Pick<Row, 'state'>,
) {
  const row: Partial<Row> = {
    photo: job.photo,
    owner: job.owner,
    received_at: job.receivedAt,
    promise_by: job.promiseBy,
    promise: job.promise ? 1 : 0,
    traceparent: job.traceparent ?? null,
    version: settings.version,
    format: jobFormat,
    ...state,
  }
  const names = Object.keys(row)
  const { changes } =
    await sql(`INSERT INTO jobs (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})
    ON CONFLICT (photo) DO NOTHING`).run(...Object.values(row))
  return changes === 1
}

const unleased = { worker: null, token: null, claimed_at: null, lease_ms: null, lease_until: null }

export type ClaimRequest = { worker: string; leaseMs: number }

export type Claim = ReturnType<typeof lease>

export function lease(engine: Engine, row: Row, { worker, leaseMs }: ClaimRequest) {
  const now = engine.clock()
  const waitedMs = since(now, row.queued_at)
  const leased = {
    state: 'claimed',
    worker,
    token: randomBytes(12).toString('hex'),
    attempts: row.attempts + 1,
    waited_ms: row.waited_ms + waitedMs,
    claimed_at: now,
    lease_ms: leaseMs,
    lease_until: now + leaseMs,
    queued_at: null,
    due_at: null,
  } as const
  updateRow(engine, row, leased)
  emit(engine, row, 'converting')
  return {
    job: toJob(row),
    token: leased.token,
    /** 1 for the first attempt. */
    attempt: leased.attempts,
    /** No attempt follows this one, so the result is stored before `fail` is called. */
    lastAttempt: leased.attempts >= engine.settings.maxAttempts,
    /** Epoch ms by the engine's clock. */
    claimedAt: now,
    /** Time in the queue before this claim. */
    waitedMs,
    /** Time of earlier attempts: in the queue, and in conversion. */
    earlier: { waitedMs: row.waited_ms, convertedMs: row.converted_ms },
    /** Why the last attempt failed that reported a failure; null when none did. */
    reason: reasonOf(row),
  }
}

/** Enqueues the job again, in its old place when due. `changed`: what differs from a job that may start at once. */
export function requeue(engine: Engine, row: Row, changed: Partial<Row> & Pick<Row, 'attempts'>): void {
  const now = engine.clock()
  updateRow(engine, row, {
    ...unleased,
    state: 'queued',
    queued_at: now,
    due_at: 0,
    converted_ms: row.converted_ms + since(now, row.claimed_at),
    expired: null,
    ended_at: null,
    ...changed,
  })
  emit(engine, row, 'queued')
}

export const reasonOf = ({ reason }: Row): FailureReason | null => JSON.parse(reason ?? 'null')

/** A PostgreSQL database may have an encoding that lacks characters of an error message. */
export const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** Milliseconds since a stamp; 0 without a stamp, or when the clock was set back since. */
const since = (now: number, stamp: number | null): number => Math.max(0, now - (stamp ?? now))

/** Ends a job. Its promise gets this outcome unless it already has one. */
export function end(
  engine: Engine,
  row: Row,
  state: 'lost' | 'done' | 'dead' | 'deleted',
  outcome: Outcome | null,
  { reason, durableAt = null }: { reason?: FailureReason; durableAt?: number | null } = {},
): { marked: Marked } {
  const marked = row.promise && !row.outcome ? outcome : null
  updateRow(engine, row, {
    ...unleased,
    state,
    queued_at: null,
    due_at: null,
    expired: row.token,
    ended_at: state === 'done' || state === 'dead' ? engine.clock() : null,
    durable_at: durableAt,
    ...(reason && { reason: asciiJson(reason) }),
    outcome: marked ?? row.outcome,
  })
  return { marked }
}

/**
 * Takes back the jobs of dead workers, and returns whether there were any. After the last attempt the photo is `lost`:
 * a result must be stored before the job ends. A lease that ends later than its length from now was given before the
 * clock was set back, and is given anew.
 */
export async function expireLeases(engine: Engine): Promise<boolean> {
  const { sql, clock, settings } = engine
  const now = clock()
  sql(`UPDATE jobs SET lease_until = ?1 + lease_ms, claimed_at = ?1 WHERE seq IN (SELECT seq FROM jobs
    WHERE state = 'claimed' AND lease_until > ?1 AND lease_until > ?1 + lease_ms FOR UPDATE SKIP LOCKED)`).send(
    now,
  )
  const expired = await sql(
    `SELECT ${columns} FROM jobs WHERE state = 'claimed' AND lease_until <= ? FOR UPDATE SKIP LOCKED`,
  ).all<Row>(now)
  for (const row of expired) {
    if (row.attempts < settings.maxAttempts)
      requeue(engine, row, { attempts: row.attempts, expired: row.token })
    else end(engine, row, 'lost', null)
  }
  return expired.length > 0
}

export function emit({ events }: Engine, { photo, owner }: Job | Row, state: QueueEvent['state']): void {
  events.push({ photo, owner, state })
}
