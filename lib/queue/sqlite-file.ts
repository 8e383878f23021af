import type { DatabaseSync } from 'node:sqlite'
import type { Engine, Statement } from './engine.ts'
import { expansions, firstEvent, newerSchema, readSchema, schemaVersion } from './schema.ts'

/** Removes PostgreSQL's row locks: SQLite has only one writer. */
export const withoutLocks = (text: string): string => text.replaceAll(/\s+FOR UPDATE( SKIP LOCKED)?/g, '')

/** The statements of an open file, each prepared once. */
export function statementsOf(db: DatabaseSync): Engine['sql'] {
  const prepared = new Map<string, Statement>()
  return text =>
    prepared.getOrInsertComputed(text, () => {
      const ofSqlite = db.prepare(withoutLocks(text))
      return Object.assign(ofSqlite, { send: ofSqlite.run }) as unknown as Statement
    })
}

/** Within a transaction: creates the tables of a new file, or adds the columns that the previous release lacks. */
export function migrateSqlite(db: DatabaseSync, now: number): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version > schemaVersion) throw newerSchema(version)
  if (version === 0)
    db.exec(`${readSchema()}; INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ${firstEvent(now)});
      PRAGMA user_version = ${schemaVersion}`)
  for (const { table, column, type } of expansions) {
    const known = db.prepare('SELECT 1 FROM pragma_table_info(?) WHERE name = ?').get(table, column)
    if (!known) db.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`)
  }
}
