-- jobs has one row a photo: waiting, leased or ended, and its outcome. The indexes are partial, so that those used for
-- claiming and counting leave out finished photos, the great majority. Times are epoch milliseconds, stored as fractions because callers
-- compute them from fractions of seconds. postgres-schema.ts replaces the types by those of PostgreSQL.
CREATE TABLE jobs (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  photo        TEXT    NOT NULL UNIQUE,
  owner        TEXT    NOT NULL,
  received_at  REAL    NOT NULL,
  promise_by   REAL    NOT NULL,
  promise      INTEGER NOT NULL,
  traceparent  TEXT,
  detail_until REAL,                       -- written by release 0.1 only
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
  reason       TEXT,                       -- why the last attempt that reported it failed, JSON
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
