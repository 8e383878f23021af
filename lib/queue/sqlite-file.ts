import type { DatabaseSync } from 'node:sqlite'
import { type Engine, type Limits, type NewEvent, type Statement, withoutLocks } from './engine.ts'
import { expansions, firstEvent, newerSchema, schema, schemaVersion } from './schema.ts'
import { insertEvents } from './transitions.ts'

/** Columns of version 0.1 of Tintype that still exist. */
const kept =
  'photo, owner, received_at, promise_by, promise, traceparent, detail_until, state, attempts, queued_at, due_at, ' +
  'worker, token, lease_until, ended_at, reason, outcome'

/**
 * The engine on an open file; makes or migrates the tables, within a transaction of the caller's.
 * @throws Error when a newer version of Tintype wrote the file.
 */
export function openEngine(db: DatabaseSync, limits: Limits, clock: () => number = Date.now): Engine {
  migrate(db, clock())
  const prepared = new Map<string, Statement>()
  const sql = (text: string) => {
    const statement = prepared.get(text) ?? prepare(db, text)
    prepared.set(text, statement)
    return statement
  }
  const emit = (event: NewEvent) => insertEvents({ sql }, [event])
  return {
    sql,
    clock,
    limits,
    emit,
    depth: null,
    sweptAt: null,
    hasNews: false,
  }
}

function prepare(db: DatabaseSync, text: string): Statement {
  const statement = db.prepare(withoutLocks(text))
  return Object.assign(statement, { send: statement.run }) as Statement
}

function migrate(db: DatabaseSync, now: number): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version === schemaVersion) {
    expand(db)
    return
  }
  if (version > schemaVersion) throw newerSchema(version)
  const isOld = db.prepare(`SELECT 1 FROM sqlite_master WHERE name = 'jobs'`).get() !== undefined
  if (isOld) {
    const indexes = db
      .prepare(`SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL`)
      .all()
    for (const { name } of indexes) db.exec(`DROP INDEX ${name}`)
    db.exec('ALTER TABLE jobs RENAME TO old_jobs')
  }
  db.exec(schema)
  if (isOld) {
    db.exec(`INSERT INTO jobs (seq, ${kept}) SELECT seq, ${kept} FROM old_jobs; DROP TABLE old_jobs`)
    db.exec(
      'UPDATE jobs SET claimed_at = lease_until, lease_ms = 0 WHERE claimed_at IS NULL AND lease_until IS NOT NULL',
    )
  }
  db.exec(`DELETE FROM sqlite_sequence WHERE name = 'events';
    INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ${firstEvent(now)});
    PRAGMA user_version = ${schemaVersion}`)
}

/** Adds columns that the previous release did not have. */
function expand(db: DatabaseSync): void {
  for (const { table, column, type } of expansions) {
    const known = db.prepare('SELECT 1 FROM pragma_table_info(?) WHERE name = ?').get(table, column)
    if (!known) db.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`)
  }
}
