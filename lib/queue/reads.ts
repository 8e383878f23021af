import type { FailureReason, PhotoId } from '../photo/record.ts'
import type { Outcome } from '../telemetry/catalogue.ts'
import type { Engine } from './engine.ts'
import type { Job, JobState, QueueEvent, Stats } from './index.ts'
import { type Row, toJob } from './schema.ts'

/** A converter announces itself every 2 s; one that was silent for five of them is not counted on. */
const workerLiveMs = 10_000

/** When there may be something to claim: now, later, or Infinity. */
export function nextDue({ sql, clock }: Engine): number {
  const ready = sql(`SELECT 1 FROM jobs WHERE state = 'queued' AND due_at <= ? LIMIT 1`).get(clock())
  if (ready) return clock()
  const { at } = sql(`SELECT min(at) AS at FROM (
    SELECT min(lease_until) AS at FROM jobs WHERE state = 'claimed'
    UNION ALL SELECT min(due_at) FROM jobs WHERE state = 'queued')`).get() as { at: number | null }
  return at ?? Number.POSITIVE_INFINITY
}

export function state({ sql }: Engine, photo: PhotoId): JobState {
  const row = sql('SELECT state FROM jobs WHERE photo = ?').get(photo) as Pick<Row, 'state'> | undefined
  if (!row) return 'unknown'
  return row.state === 'claimed' ? 'converting' : row.state
}

export function stats({ sql, clock }: Engine): Stats {
  const now = clock()
  const secondsSince = (at: number) => Math.max(0, now - at) / 1000
  const row = sql(`SELECT
    (SELECT count(*) FROM jobs WHERE state = 'queued') AS depth,
    (SELECT min(queued_at) FROM jobs WHERE state = 'queued') AS oldest,
    (SELECT count(*) FROM jobs WHERE state = 'claimed') AS claimed,
    (SELECT count(*) FROM jobs WHERE state = 'dead') AS dead,
    (SELECT max(seen_at) FROM workers) AS seen,
    (SELECT seq FROM sqlite_sequence WHERE name = 'events') AS lastEvent,
    total(slots) AS slots,
    total(slots) FILTER (WHERE service_seconds > 0) AS measured,
    total(slots / service_seconds) FILTER (WHERE service_seconds > 0) AS photosPerSecond
    FROM workers WHERE seen_at > ?`).get(now - workerLiveMs) as StatsRow
  return {
    depth: row.depth,
    lastEvent: row.lastEvent ?? 0,
    oldestSeconds: row.oldest === null ? 0 : secondsSince(row.oldest),
    claimed: row.claimed,
    dead: row.dead,
    liveSlots: row.slots,
    serviceSeconds: row.measured > 0 ? row.measured / row.photosPerSecond : null,
    workerSeenSeconds: row.seen === null ? null : secondsSince(row.seen),
  }
}

type StatsRow = Record<'depth' | 'claimed' | 'dead' | 'slots' | 'measured' | 'photosPerSecond', number> &
  Record<'oldest' | 'seen' | 'lastEvent', number | null>

export function deadLetters(
  { sql }: Engine,
  limit: number,
): { job: Job; attempts: number; reason: FailureReason }[] {
  const rows = sql(`SELECT * FROM jobs WHERE state = 'dead' ORDER BY seq LIMIT ?`).all(limit) as Row[]
  return rows.map(row => ({
    job: toJob(row),
    attempts: row.attempts,
    reason: JSON.parse(row.reason ?? 'null'),
  }))
}

export const lastEvent = ({ sql }: Engine): number =>
  Number(sql(`SELECT seq FROM sqlite_sequence WHERE name = 'events'`).get()?.seq ?? 0)

export const eventsAfter = ({ sql }: Engine, seq: number, limit: number): QueueEvent[] =>
  sql('SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?').all(seq, limit) as QueueEvent[]

export const outcomesAfter = (
  { sql }: Engine,
  seq: number,
  limit: number,
): { seq: number; photo: PhotoId; outcome: Outcome }[] =>
  sql(`SELECT seq, photo, outcome FROM jobs WHERE seq > ? AND outcome IS NOT NULL ORDER BY seq LIMIT ?`).all(
    seq,
    limit,
  ) as { seq: number; photo: PhotoId; outcome: Outcome }[]
