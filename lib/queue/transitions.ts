import type { FailureReason, PhotoId } from '../photo/record.ts'
import type { Outcome } from '../telemetry/catalogue.ts'
import type { Engine } from './engine.ts'
import type { Job, Marked, QueueEvent } from './index.ts'
import type { Row } from './schema.ts'

export type Held = { photo: PhotoId; token: string }

const deathOfWorkers: FailureReason = {
  code: 'crash',
  detail: 'The converter stopped each time it worked on this photo. Export it anew, then upload it again.',
}

/** The photo's row. */
export const find = ({ sql }: Engine, photo: PhotoId): Row | undefined =>
  sql('SELECT * FROM jobs WHERE photo = ?').get(photo) as Row | undefined

/** The photo's row if its lease is still the caller's: an expired one is no right any more, also before it is given on. */
export const findHeld = ({ sql, clock }: Engine, { photo, token }: Held): Row | undefined =>
  sql(`SELECT * FROM jobs WHERE photo = ? AND state = 'claimed' AND token = ? AND lease_until > ?`).get(
    photo,
    token,
    clock(),
  ) as Row | undefined

/** Adds a photo, or gives false when it is known. */
export function insert(
  { sql, clock }: Engine,
  job: Job,
  state: 'queued' | 'done',
  outcome: Outcome | null,
): boolean {
  const queuedAt = state === 'queued' ? clock() : null
  const { changes } = sql(`INSERT INTO jobs (photo, owner, received_at, promise_by, promise, priority,
      traceparent, detail_until, state, queued_at, due_at, ended_at, outcome)
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
    queuedAt,
    queuedAt,
    state === 'done' ? clock() : null,
    outcome,
  )
  return changes === 1
}

/** Back to work; in its old place in the line once `dueAt` has come. */
export function requeue(engine: Engine, row: Row, dueAt: number, attempts: number): void {
  const { sql, clock } = engine
  sql(`UPDATE jobs SET state = 'queued', queued_at = ?, due_at = ?, attempts = ?, worker = NULL, token = NULL,
    lease_until = NULL, ended_at = NULL, reason = NULL WHERE seq = ?`).run(clock(), dueAt, attempts, row.seq)
  emit(engine, row, 'queued')
}

/** Ends a photo's work. Unless it has its outcome or is no promise, it gets this one: then that is what is returned. */
export function end(
  { sql, clock }: Engine,
  row: Row,
  state: 'done' | 'dead',
  outcome: Outcome | null,
  reason: FailureReason | null = null,
): Marked {
  const marked = row.promise && !row.outcome ? outcome : null
  sql(`UPDATE jobs SET state = ?, ended_at = ?, reason = ?, outcome = coalesce(outcome, ?), queued_at = NULL,
    due_at = NULL, worker = NULL, token = NULL, lease_until = NULL WHERE seq = ?`).run(
    state,
    clock(),
    reason && JSON.stringify(reason),
    marked,
    row.seq,
  )
  return marked
}

/** Takes back what dead workers held. A photo that outlived its last attempt is a dead letter; markOverdue gives its outcome. */
export function expireLeases(engine: Engine): void {
  const { sql, clock, limits } = engine
  const expired = sql(`SELECT * FROM jobs WHERE state = 'claimed' AND lease_until <= ?`).all(clock()) as Row[]
  for (const row of expired) {
    if (row.attempts < limits.maxAttempts) requeue(engine, row, clock(), row.attempts)
    else {
      end(engine, row, 'dead', null, deathOfWorkers)
      emit(engine, row, 'failed')
    }
  }
}

export function emit({ sql }: Engine, { photo, owner }: Job | Row, state: QueueEvent['state']): void {
  sql('INSERT INTO events (photo, owner, state) VALUES (?, ?, ?)').run(photo, owner, state)
}
