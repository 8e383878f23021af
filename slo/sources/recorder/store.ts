import { existsSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createFile, makeFolder } from '@tintype/lib/disk.ts'
import { sqliteCode } from '@tintype/lib/errors.ts'
import { type Sli, type Source, SourceError } from '../index.ts'
import { openReadOnly } from './read-only.ts'
import { reader } from './reader.ts'
import { writer } from './writer.ts'

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

type OnDamage = (why: string) => void
/**
 * Opens the recorder's file for its only writer, and rolls up the counters of `slis`. A damaged file is set aside, and
 * `onDamage` is called: slo must alert also without its history. @throws when the file cannot be opened.
 */
export function createStore(file: string, slis: readonly Sli[], onDamage: OnDamage = () => {}) {
  makeFolder(dirname(file))
  const db = openToWrite(file, onDamage)
  return { ...reader(db), ...writer(db, slis, file) }
}

const sqliteIoError = 10
const sqliteCorrupt = 11
const sqliteNotADatabase = 26

function openToWrite(file: string, onDamage: OnDamage, locking = 'NORMAL'): DatabaseSync {
  createFile(file)
  const db = new DatabaseSync(file)
  try {
    // NORMAL: a power cut may lose the last seconds of measurements, and minutes without data are offline anyway.
    db.exec(
      `PRAGMA locking_mode = ${locking}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;`,
    )
    // Of pages and not of indexes, which takes under a second.
    const { quick_check: found } = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
    if (found !== 'ok') throw Object.assign(new Error(found), { errcode: sqliteCorrupt })
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
    const code = sqliteCode(error)
    // A full disk has no space for the -shm file. EXCLUSIVE needs none, but no other process can read until the next start.
    if (locking === 'NORMAL' && code === sqliteIoError) return openToWrite(file, onDamage, 'EXCLUSIVE')
    if (code !== sqliteCorrupt && code !== sqliteNotADatabase) throw error
    // SQLite would add the log of the old file to a new one.
    for (const end of ['', '-wal'])
      if (existsSync(file + end)) renameSync(file + end, `${file}.damaged${end}`)
    onDamage(`${(error as Error).message}: the file is now ${file}.damaged, and its minutes are missing`)
    return openToWrite(file, onDamage, locking)
  }
}

/** Opens the recorder's file for reading, beside its writer. @throws ExpectedError when it is missing or unreadable. */
export function openStore(file: string): Source {
  const db = openReadOnly(file)
  if (!db)
    throw new SourceError(
      `nothing was recorded yet: there is no ${file}; start the service, or give --prometheus`,
    )
  return reader(db)
}
