import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Sli, SourceError } from '../index.ts'
import { openReadOnly } from './read-only.ts'
import { type Reader, reader } from './reader.ts'
import { type Writer, writer } from './writer.ts'

/**
 * The recorder's file. A scrape is one row whose layout names the series of its numbers: 400 samples take less than a
 * kilobyte. Counters of objectives are also rolled up, with an hour in each row, so that 30 days are read in
 * milliseconds.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS target(id INTEGER PRIMARY KEY, job TEXT, instance TEXT, UNIQUE(job, instance));
  CREATE TABLE IF NOT EXISTS process(target INTEGER PRIMARY KEY, started REAL, at INTEGER);
  CREATE TABLE IF NOT EXISTS series(id INTEGER PRIMARY KEY, name TEXT, labels TEXT, UNIQUE(name, labels));
  CREATE TABLE IF NOT EXISTS layout(id INTEGER PRIMARY KEY, series TEXT UNIQUE);
  CREATE TABLE IF NOT EXISTS scrape(target INTEGER, at INTEGER, layout INTEGER, numbers BLOB, UNIQUE(target, at));
  CREATE INDEX IF NOT EXISTS scrape_at ON scrape(at);
  CREATE TABLE IF NOT EXISTS counter(series INTEGER PRIMARY KEY, at INTEGER, value REAL, above_zero_at INTEGER);
  CREATE TABLE IF NOT EXISTS hour(series INTEGER, max_gap INTEGER, start INTEGER, increases BLOB,
    PRIMARY KEY(series, max_gap, start)) WITHOUT ROWID;
`

/** `PRAGMA user_version` of the file; release 0.1 wrote 0. A new column or table does not raise it. */
const schemaVersion = 1

export const recorderFile = (dataDir: string): string => `${dataDir}/slo/recorder.sqlite`

/**
 * Opens the recorder's file for its only writer, and rolls up the counters of `slis`. @throws when it cannot be opened.
 */
export function createStore(file: string, slis: readonly Sli[]): Reader & Writer {
  mkdirSync(dirname(file), { recursive: true })
  const db = openToWrite(file, 'NORMAL') ?? (openToWrite(file, 'EXCLUSIVE') as DatabaseSync)
  return { ...reader(db), ...writer(db, slis) }
}

const sqliteIoError = 10

/**
 * Undefined when a full disk has no space for the -shm file. EXCLUSIVE needs none, but no other process can read until
 * the next start.
 */
function openToWrite(file: string, locking: 'NORMAL' | 'EXCLUSIVE'): DatabaseSync | undefined {
  const db = new DatabaseSync(file)
  try {
    // NORMAL: a power cut may lose the last seconds of measurements, and minutes without data are offline anyway.
    db.exec(
      `PRAGMA locking_mode = ${locking}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;`,
    )
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
    if (version > schemaVersion)
      throw new SourceError(
        `${file} was written by a newer version (schema ${version}, known is ${schemaVersion})`,
      )
    // Only if needed, so that a start on a full disk writes nothing.
    if (version < schemaVersion) db.exec(`${schema}; PRAGMA user_version = ${schemaVersion}`)
    return db
  } catch (error) {
    db.close()
    const code = ((error as { errcode?: number }).errcode ?? 0) % 256
    if (locking === 'NORMAL' && code === sqliteIoError) return undefined
    throw error
  }
}

/** Opens the recorder's file for reading, beside its writer. @throws ExpectedError when it is missing or unreadable. */
export function openStore(file: string): Reader {
  const db = openReadOnly(file)
  if (!db)
    throw new SourceError(
      `nothing was recorded yet: there is no ${file}; start the service, or give --prometheus`,
    )
  return reader(db)
}
