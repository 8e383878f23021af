import type { Outcome, Owner, PhotoId } from '../photo/record.ts'
import type { Job } from './job.ts'

/**
 * `PRAGMA user_version` of a SQLite file, the table `schema_version` elsewhere. A schema changes in two releases. The first
 * adds columns with a default (`expansions`) and keeps this number, so that the previous release works beside it. A later
 * release removes old columns and raises this number.
 */
export const schemaVersion = 1

/** The newest job format of this version. A job in a newer format is left to newer versions. */
export const jobFormat = 1

/** Columns added since `schemaVersion`. Each has a default, because the previous release does not write it. */
export const expansions = [
  { table: 'jobs', column: 'version', type: `TEXT NOT NULL DEFAULT ''` },
  { table: 'jobs', column: 'format', type: 'INTEGER NOT NULL DEFAULT 1' },
  { table: 'workers', column: 'version', type: `TEXT NOT NULL DEFAULT ''` },
] as const

export const newerSchema = (version: number): Error =>
  new Error(`a newer version of Tintype wrote it (schema ${version}; this one knows ${schemaVersion})`)

/**
 * One row a photo: waiting, leased or ended, and its outcome. The indexes are partial, so that those used for claiming and
 * counting leave out finished photos, the great majority.
 * Times are epoch milliseconds, REAL because callers compute them from fractions of seconds.
 */
export const schema = `
CREATE TABLE jobs (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  photo        TEXT    NOT NULL UNIQUE,
  owner        TEXT    NOT NULL,
  received_at  REAL    NOT NULL,
  promise_by   REAL    NOT NULL,
  promise      INTEGER NOT NULL,
  traceparent  TEXT,
  detail_until REAL,
  state        TEXT    NOT NULL,           -- queued, claimed, lost, done, dead, deleted
  attempts     INTEGER NOT NULL DEFAULT 0,
  waited_ms    REAL    NOT NULL DEFAULT 0, -- in the queue, before earlier claims
  converted_ms REAL    NOT NULL DEFAULT 0, -- claimed, in earlier attempts
  queued_at    REAL,                       -- queued: since when
  due_at       REAL,                       -- queued: not to be claimed before; 0 is at once
  worker       TEXT,                       -- claimed: its holder, for people
  token        TEXT,                       -- claimed: what its holder must show
  claimed_at   REAL,                       -- claimed: since when
  lease_ms     REAL,                       -- claimed: length of the lease
  lease_until  REAL,                       -- claimed: the holder's right ends
  expired      TEXT,                       -- token of the last lease that ended by its time
  forgiven     INTEGER NOT NULL DEFAULT 0, -- attempts given back, because their worker was only suspended
  ended_at     REAL,                       -- done, dead, deleted and buried
  durable_at   REAL,                       -- done: result.json was durable
  reason       TEXT,                       -- dead: why, JSON
  outcome      TEXT,                       -- kept, broken, void
  version      TEXT    NOT NULL DEFAULT '', -- of the web that accepted it
  format       INTEGER NOT NULL DEFAULT 1   -- of this row
) STRICT;
CREATE INDEX jobs_queued   ON jobs (seq, due_at, queued_at) WHERE state = 'queued';
CREATE INDEX jobs_claimed  ON jobs (lease_until) WHERE state = 'claimed';
CREATE INDEX jobs_lost     ON jobs (seq) WHERE state = 'lost';
CREATE INDEX jobs_dead     ON jobs (seq) WHERE state = 'dead';
CREATE INDEX jobs_deleted  ON jobs (seq) WHERE state = 'deleted' AND ended_at IS NULL;
CREATE INDEX jobs_promised ON jobs (promise_by) WHERE promise = 1 AND outcome IS NULL;
CREATE INDEX jobs_ended    ON jobs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE events (
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  photo TEXT NOT NULL,
  owner TEXT NOT NULL,
  state TEXT NOT NULL
) STRICT;
CREATE INDEX events_owner ON events (owner, seq);

CREATE TABLE workers (
  id              TEXT PRIMARY KEY,
  slots           INTEGER NOT NULL,
  service_seconds REAL    NOT NULL,
  seen_at         REAL    NOT NULL,
  version         TEXT    NOT NULL DEFAULT ''
) STRICT;
`

/**
 * The first event's number, 15 digits from the time the queue was made. Numbers of an earlier queue are below it, because no
 * queue counts up to the next one's first number.
 */
export const firstEvent = (now: number): number => Math.floor(now) * 100

type Numbers = 'seq' | 'received_at' | 'promise_by' | 'attempts' | 'forgiven' | 'format'
type Times =
  | `${'queued' | 'due' | 'claimed' | 'ended' | 'durable'}_at`
  | 'detail_until'
  | `lease_${'ms' | 'until'}`
type Texts = 'traceparent' | 'worker' | 'token' | 'expired' | 'reason'
/** A row of `jobs`. */
export type Row = Record<Numbers | 'waited_ms' | 'converted_ms', number> &
  Record<Times, number | null> &
  Record<Texts, string | null> & {
    photo: PhotoId
    owner: Owner
    promise: 0 | 1
    state: 'queued' | 'claimed' | 'lost' | 'done' | 'dead' | 'deleted'
    outcome: Outcome | null
    version: string
  }

/** The columns that are read. Not `*`: PostgreSQL refuses a prepared statement when a later release adds a column to its result. */
export const columns =
  'seq, photo, owner, received_at, promise_by, promise, traceparent, detail_until, state, attempts, waited_ms, ' +
  'converted_ms, queued_at, token, claimed_at, reason, outcome, forgiven'

export const toJob = (row: Row): Job => ({
  photo: row.photo,
  owner: row.owner,
  receivedAt: row.received_at,
  promiseBy: row.promise_by,
  promise: row.promise === 1,
  ...(row.traceparent !== null && { traceparent: row.traceparent }),
  ...(row.detail_until !== null && { detailUntil: row.detail_until }),
})
