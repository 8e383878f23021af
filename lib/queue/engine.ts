import { randomBytes } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { FailureReason, PhotoId } from '../photo.ts'
import type { Outcome } from '../telemetry/catalogue.ts'
import type { Claim, Job, JobState, Marked, QueueEvent, Stats, Worker } from './index.ts'
import { type Row, schema } from './schema.ts'

export type Limits = { maxAttempts: number; maxDepth: number }

/** Outcomes, and which ids are known, are kept this long after a photo's end; the SLO's window needs a day, a week is asked for. */
const retentionMs = 8 * 86_400_000
/** Of events and of ended photos, this many go at once: a few milliseconds. Together 17 million a day. */
const purgeEveryMs = 10_000
const purgeAtMost = 2_000
/** A reader further behind than this many events has to look at storage anyway. */
const maxEvents = 50_000
/** A converter announces itself every 2 s; one that was silent for five of them is not counted on. */
const workerLiveMs = 10_000
/** The first retry comes after 0.5 to 1 s, each next after twice that: three attempts leave most of the minute. */
const firstBackoffMs = 500
const maxBackoffMs = 2_000

export type Held = Pick<Claim, 'token'> & { photo: PhotoId }

const deathOfWorkers: FailureReason = {
  code: 'crash',
  detail: 'The converter stopped each time it worked on this photo. Export it anew, then upload it again.',
}
const finalCodes = new Set<FailureReason['code']>(['undecodable', 'over-limit'])

/**
 * The queue's operations on one open database, each to be called inside a transaction of the caller's
 * (reads may be called outside). Times are epoch milliseconds of this machine's clock.
 */
export function openOperations(db: DatabaseSync, limits: Limits, clock: () => number = Date.now) {
  db.exec(schema)
  const sql = lazyStatements(db)
  const emit = (row: Pick<Row, 'photo' | 'owner'>, state: QueueEvent['state']) =>
    sql('INSERT INTO events (photo, owner, state) VALUES (?, ?, ?)').run(row.photo, row.owner, state)

  /** The row, if its lease is still the caller's. */
  const held = ({ photo, token }: Held) =>
    sql(`SELECT * FROM jobs WHERE photo = ? AND state = 'claimed' AND token = ? AND lease_until > ?`).get(
      photo,
      token,
      clock(),
    ) as Row | undefined

  /** Ends a photo's work. Its outcome, unless it has one or is no promise, is `outcome`; that is what is returned. */
  const end = (row: Row, state: 'done' | 'dead', outcome: Outcome, reason?: FailureReason): Marked => {
    const marked = row.promise && !row.outcome ? outcome : null
    sql(`UPDATE jobs SET state = ?, ended_at = ?, reason = ?, outcome = coalesce(outcome, ?),
         queued_at = NULL, due_at = NULL, token = NULL, lease_until = NULL WHERE seq = ?`).run(
      state,
      clock(),
      reason ? JSON.stringify(reason) : null,
      marked,
      row.seq,
    )
    return marked
  }

  const requeue = (row: Row, dueAt: number, attempts: number) => {
    sql(`UPDATE jobs SET state = 'queued', queued_at = ?, due_at = ?, attempts = ?,
         token = NULL, lease_until = NULL, ended_at = NULL, reason = NULL WHERE seq = ?`).run(
      clock(),
      dueAt,
      attempts,
      row.seq,
    )
    emit(row, 'queued')
  }

  /** Gives back what dead workers held. A photo that outlived its last one is dead; markOverdue gives it its outcome. */
  const expireLeases = () => {
    const expired = sql(`SELECT * FROM jobs WHERE state = 'claimed' AND lease_until <= ?`).all(clock())
    for (const row of expired as Row[]) {
      if (row.attempts < limits.maxAttempts) requeue(row, clock(), row.attempts)
      else {
        sql(`UPDATE jobs SET state = 'dead', ended_at = ?, reason = ?, token = NULL, lease_until = NULL
             WHERE seq = ?`).run(clock(), JSON.stringify(deathOfWorkers), row.seq)
        emit(row, 'failed')
      }
    }
  }

  const insert = (job: Job, state: 'queued' | 'done', outcome: Outcome | null) => {
    const [since, ended] = state === 'queued' ? [clock(), null] : [null, clock()]
    return sql(`INSERT INTO jobs (photo, owner, received_at, promise_by, promise, priority, traceparent,
      detail_until, state, queued_at, due_at, ended_at, outcome)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (photo) DO NOTHING`).run(
      job.photo,
      job.owner,
      job.receivedAt,
      job.promiseBy,
      job.promise ? 1 : 0,
      job.priority,
      job.traceparent ?? null,
      job.detailUntil ?? null,
      state,
      since,
      since,
      ended,
      outcome,
    ).changes
  }

  const find = (photo: PhotoId) => sql('SELECT * FROM jobs WHERE photo = ?').get(photo) as Row | undefined
  /** Counted once a transaction: counting 10,000 takes 0.3 ms, and many enqueues share one transaction. */
  let depth: number | null = null
  const isFull = () => {
    depth ??= (sql(`SELECT count(*) AS n FROM jobs WHERE state = 'queued'`).get() as { n: number }).n
    return depth >= limits.maxDepth
  }

  return {
    /** First in each transaction. */
    begin: () => {
      depth = null
    },

    enqueue(job: Job): 'queued' | 'already' | 'full' {
      if (find(job.photo)) return 'already'
      if (isFull()) return 'full'
      insert(job, 'queued', null)
      depth = depth === null ? null : depth + 1
      emit(job, 'queued')
      return 'queued'
    },

    /** When there may be something to claim: now or earlier, later, or Infinity. */
    nextDue(): number {
      const ready = sql(`SELECT due_at FROM jobs WHERE state = 'queued' AND due_at <= ? LIMIT 1`).get(clock())
      if (ready) return clock()
      const { at } = sql(`SELECT min(at) AS at FROM (
        SELECT min(lease_until) AS at FROM jobs WHERE state = 'claimed'
        UNION ALL SELECT min(due_at) FROM jobs WHERE state = 'queued')`).get() as { at: number | null }
      return at ?? Number.POSITIVE_INFINITY
    },

    claim(worker: string, leaseMs: number): Claim | { nothingBefore: number } {
      expireLeases()
      const now = clock()
      const row = sql(`SELECT * FROM jobs WHERE state = 'queued' AND due_at <= ?
        ORDER BY priority, seq LIMIT 1`).get(now) as Row | undefined
      if (!row) return { nothingBefore: this.nextDue() }
      const token = randomBytes(12).toString('hex')
      const attempt = row.attempts + 1
      const leaseUntil = now + leaseMs
      sql(`UPDATE jobs SET state = 'claimed', worker = ?, token = ?, lease_until = ?, attempts = ?, queued_at = NULL,
        due_at = NULL WHERE seq = ?`).run(worker, token, leaseUntil, attempt, row.seq)
      emit(row, 'converting')
      return { job: toJob(row), token, attempt, leaseUntil, waitedMs: now - (row.queued_at ?? now) }
    },

    renew(claim: Held, leaseMs: number): 'held' | 'stale' {
      const row = held(claim)
      if (!row) return 'stale'
      sql('UPDATE jobs SET lease_until = ? WHERE seq = ?').run(clock() + leaseMs, row.seq)
      return 'held'
    },

    complete(claim: Held, durableAt: number): { marked: Marked } | 'stale' {
      const row = held(claim)
      if (!row) return 'stale'
      const marked = end(row, 'done', durableAt <= row.promise_by ? 'kept' : 'broken')
      emit(row, 'ready')
      return { marked }
    },

    fail(
      claim: Held,
      reason: FailureReason,
    ): { next: 'retry'; at: number } | { next: 'failed' | 'dead'; marked: Marked } | 'stale' {
      const row = held(claim)
      if (!row) return 'stale'
      const final = finalCodes.has(reason.code)
      if (!final && row.attempts < limits.maxAttempts) {
        const at = clock() + backoffMs(row.attempts)
        requeue(row, at, row.attempts)
        return { next: 'retry', at }
      }
      const marked = final
        ? end(row, 'done', clock() <= row.promise_by ? 'void' : 'broken')
        : end(row, 'dead', 'broken', reason)
      emit(row, 'failed')
      return { next: final ? 'failed' : 'dead', marked }
    },

    release(claim: Held): 'released' | 'stale' {
      const row = held(claim)
      if (!row) return 'stale'
      requeue(row, clock(), row.attempts - 1)
      return 'released'
    },

    cancel(photo: PhotoId): { marked: Marked } | 'unknown' {
      const row = find(photo)
      if (!row) return 'unknown'
      const marked = end(row, 'done', clock() <= row.promise_by ? 'void' : 'broken')
      emit(row, 'deleted')
      return { marked }
    },

    markOverdue(now: number): Job[] {
      expireLeases()
      const rows = sql(`UPDATE jobs SET outcome = 'broken' WHERE seq IN (
          SELECT seq FROM jobs WHERE promise = 1 AND outcome IS NULL AND promise_by <= ?
          UNION SELECT seq FROM jobs WHERE state = 'dead' AND promise = 1 AND outcome IS NULL)
        RETURNING *`).all(now) as Row[]
      for (const row of rows) emit(row, 'overdue')
      return rows.map(toJob)
    },

    state(photo: PhotoId): JobState {
      const row = sql('SELECT state FROM jobs WHERE photo = ?').get(photo) as { state: string } | undefined
      if (!row) return 'unknown'
      return row.state === 'claimed' ? 'converting' : (row.state as JobState)
    },

    announce({ id, slots, serviceSeconds }: Worker): void {
      sql(`INSERT INTO workers VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
        slots = excluded.slots, service_seconds = excluded.service_seconds, seen_at = excluded.seen_at`).run(
        id,
        slots,
        serviceSeconds,
        clock(),
      )
    },

    stats(): Stats {
      const now = clock()
      const row = sql(`SELECT
        (SELECT count(*) FROM jobs WHERE state = 'queued') AS depth,
        (SELECT min(queued_at) FROM jobs WHERE state = 'queued') AS oldest,
        (SELECT count(*) FROM jobs WHERE state = 'claimed') AS claimed,
        (SELECT count(*) FROM jobs WHERE state = 'dead') AS dead,
        (SELECT max(seen_at) FROM workers) AS seen,
        coalesce(sum(slots), 0) AS slots,
        sum(slots) FILTER (WHERE service_seconds > 0) AS measured,
        sum(slots / service_seconds) FILTER (WHERE service_seconds > 0) AS rate
        FROM workers WHERE seen_at > ?`).get(now - workerLiveMs) as Record<string, number | null>
      return {
        depth: row.depth ?? 0,
        oldestSeconds: row.oldest == null ? 0 : Math.max(0, now - row.oldest) / 1000,
        claimed: row.claimed ?? 0,
        dead: row.dead ?? 0,
        liveSlots: row.slots ?? 0,
        serviceSeconds: row.rate && row.measured ? row.measured / row.rate : null,
        workerSeenSeconds: row.seen == null ? null : Math.max(0, now - row.seen) / 1000,
      }
    },

    deadLetters(limit: number): { job: Job; attempts: number; reason: FailureReason }[] {
      const rows = sql(`SELECT * FROM jobs WHERE state = 'dead' ORDER BY seq LIMIT ?`).all(limit) as Row[]
      return rows.map(row => ({
        job: toJob(row),
        attempts: row.attempts,
        reason: JSON.parse(row.reason ?? 'null'),
      }))
    },

    replay(photo: PhotoId): 'queued' | 'unknown' {
      const row = sql(`SELECT * FROM jobs WHERE photo = ? AND state = 'dead'`).get(photo) as Row | undefined
      if (!row) return 'unknown'
      requeue(row, clock(), 0)
      return 'queued'
    },

    restore(job: Job, { outcome }: { outcome: Outcome | null }): 'restored' | 'already' {
      return insert(job, 'done', outcome) ? 'restored' : 'already'
    },

    lastEvent: (): number =>
      (sql('SELECT coalesce(max(seq), 0) AS seq FROM events').get() as { seq: number }).seq,

    eventsAfter: (seq: number, limit: number) =>
      sql('SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?').all(seq, limit) as QueueEvent[],

    outcomesAfter: (seq: number, limit: number) =>
      sql(
        `SELECT seq, photo, outcome FROM jobs WHERE seq > ? AND outcome IS NOT NULL ORDER BY seq LIMIT ?`,
      ).all(seq, limit) as { seq: number; photo: PhotoId; outcome: Outcome }[],

    /** Keeps the file bounded; called now and then. */
    purge(): void {
      sql(`DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE ended_at < ? LIMIT ?)`).run(
        clock() - retentionMs,
        purgeAtMost,
      )
      sql(`DELETE FROM events WHERE seq IN (
        SELECT seq FROM events WHERE seq <= (SELECT max(seq) FROM events) - ? LIMIT ?)`).run(
        maxEvents,
        purgeAtMost,
      )
      sql('DELETE FROM workers WHERE seen_at < ?').run(clock() - retentionMs)
    },
  }
}

export type Operations = ReturnType<typeof openOperations>
export { purgeEveryMs }

/** 0.5 to 1 s after the first attempt, doubling: jitter keeps photos that failed together from coming back together. */
const backoffMs = (attempts: number): number =>
  Math.min(firstBackoffMs * 2 ** (attempts - 1), maxBackoffMs) * (1 + Math.random())

function lazyStatements(db: DatabaseSync): (text: string) => StatementSync {
  const prepared = new Map<string, StatementSync>()
  return text => {
    let statement = prepared.get(text)
    if (!statement) {
      statement = db.prepare(text)
      prepared.set(text, statement)
    }
    return statement
  }
}

const toJob = (row: Row): Job => ({
  photo: row.photo,
  owner: row.owner,
  receivedAt: row.received_at,
  promiseBy: row.promise_by,
  promise: row.promise === 1,
  priority: row.priority,
  ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
  ...(row.detail_until === null ? {} : { detailUntil: row.detail_until }),
})
