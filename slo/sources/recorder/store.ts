import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Sli, SourceError } from '../index.ts'
import { openReadOnly } from './read-only.ts'
import { reader } from './reader.ts'
import { type Reader, schema, schemaVersion, type Writer } from './schema.ts'
import { writer } from './writer.ts'

export type Store = Reader & Writer

/** Where the recorder's file is. */
export const recorderFile = (dataDir: string): string => `${dataDir}/slo/recorder.sqlite`

/**
 * Opens the recorder's file to write; there is one writer, the slo service. The counters of `slis` are rolled up.
 * @throws when it cannot be opened.
 */
export function createStore(file: string, slis: readonly Sli[]): Store {
  mkdirSync(dirname(file), { recursive: true })
  const db = openToWrite(file, 'NORMAL') ?? (openToWrite(file, 'EXCLUSIVE') as DatabaseSync)
  return { ...reader(db), ...writer(db, slis) }
}

const sqliteIoError = 10

/**
 * A full disk has no room for the -shm file, through which others read beside the writer: undefined then. EXCLUSIVE needs
 * none, so that slo starts and alerts; until its next start only its own pages show what is recorded.
 */
function openToWrite(file: string, locking: 'NORMAL' | 'EXCLUSIVE'): DatabaseSync | undefined {
  const db = new DatabaseSync(file)
  try {
    // NORMAL: what a power cut may take is the last seconds of measurements, and a minute without data is offline.
    db.exec(
      `PRAGMA locking_mode = ${locking}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;`,
    )
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
    if (version > schemaVersion)
      throw new SourceError(
        `${file} was written by a newer version (schema ${version}, known is ${schemaVersion})`,
      )
    // Only when there is something to write: a start on a full disk needs none.
    if (version < schemaVersion) db.exec(`${schema}; PRAGMA user_version = ${schemaVersion}`)
    return db
  } catch (error) {
    db.close()
    const code = ((error as { errcode?: number }).errcode ?? 0) % 256
    if (locking === 'NORMAL' && code === sqliteIoError) return undefined
    throw error
  }
}

/** Opens it to read, beside the writer. @throws ExpectedError when nothing was ever recorded, or it cannot be read. */
export function openStore(file: string): Reader {
  const db = openReadOnly(file)
  if (!db) throw new SourceError(`nothing was recorded yet: there is no ${file}`)
  return reader(db)
}
