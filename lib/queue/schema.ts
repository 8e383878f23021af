import type { Job } from './index.ts'

/**
 * One row a photo tells its whole story: waiting, leased, done or dead, and its outcome once it has one.
 * Each index is partial, so that finished photos, the great majority, are in none that claiming or counting reads.
 * Times are epoch milliseconds, REAL because callers compute them from fractions of seconds.
 */
export const schema = `
CREATE TABLE IF NOT EXISTS jobs (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  photo        TEXT    NOT NULL UNIQUE,
  owner        TEXT    NOT NULL,
  received_at  REAL    NOT NULL,
  promise_by   REAL    NOT NULL,
  promise      INTEGER NOT NULL,
  priority     INTEGER NOT NULL,
  traceparent  TEXT,
  detail_until REAL,
  state        TEXT    NOT NULL CHECK (state IN ('queued', 'claimed', 'done', 'dead')),
  attempts     INTEGER NOT NULL DEFAULT 0,
  queued_at    REAL,               -- queued: since when
  due_at       REAL,               -- queued: not to be claimed before
  worker       TEXT,               -- claimed: its holder, for people
  token        TEXT,               -- claimed: what its holder must show
  lease_until  REAL,               -- claimed: the holder's right ends
  ended_at     REAL,               -- done, dead
  reason       TEXT,               -- dead: why, JSON
  outcome      TEXT CHECK (outcome IN ('kept', 'broken', 'void'))
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_queued   ON jobs (priority, seq, due_at, queued_at) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS jobs_claimed  ON jobs (lease_until) WHERE state = 'claimed';
CREATE INDEX IF NOT EXISTS jobs_dead     ON jobs (seq) WHERE state = 'dead';
CREATE INDEX IF NOT EXISTS jobs_promised ON jobs (promise_by) WHERE promise = 1 AND outcome IS NULL;
CREATE INDEX IF NOT EXISTS jobs_ended    ON jobs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS events (
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  photo TEXT NOT NULL,
  owner TEXT NOT NULL,
  state TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS workers (
  id              TEXT PRIMARY KEY,
  slots           INTEGER NOT NULL,
  service_seconds REAL    NOT NULL,
  seen_at         REAL    NOT NULL
) STRICT;
`

/** A row of `jobs` as SQLite gives it. */
export type Row = {
  seq: number
  photo: string
  owner: string
  received_at: number
  promise_by: number
  promise: 0 | 1
  priority: number
  traceparent: string | null
  detail_until: number | null
  state: 'queued' | 'claimed' | 'done' | 'dead'
  attempts: number
  queued_at: number | null
  reason: string | null
  outcome: 'kept' | 'broken' | 'void' | null
}

export const toJob = (row: Row): Job => ({
  photo: row.photo,
  owner: row.owner,
  receivedAt: row.received_at,
  promiseBy: row.promise_by,
  promise: row.promise === 1,
  priority: row.priority,
  ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
  ...(row.detail_until === null ? {} : { detailUntil: row.detail_until }),
})
