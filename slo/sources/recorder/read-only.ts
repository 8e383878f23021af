import { closeSync, existsSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { ExpectedError, sqliteCode } from '@tintype/lib/errors.ts'

/** Opens a SQLite file for reading, also in a read-only folder; undefined without a file. @throws ExpectedError. */
export function openReadOnly(file: string): DatabaseSync | undefined {
  try {
    closeSync(openSync(file, 'r'))
    try {
      return open(file)
    } catch (error) {
      // CANTOPEN or READONLY: the -shm file can be neither found nor created. Only a file with a log needs it.
      if (![8, 14].includes(sqliteCode(error))) throw error
      if (existsSync(`${file}-wal`)) throw new Error(`${file}-shm is missing and cannot be created`)
      return open(new URL('?immutable=1', pathToFileURL(file)))
    }
  } catch (error) {
    const { code, path, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && path === file) return undefined
    throw new ExpectedError(`${file} cannot be read: ${message}`, { cause: error })
  }
}

function open(file: string | URL): DatabaseSync {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    // Only the first query opens the file.
    db.prepare('SELECT 1 FROM sqlite_schema').get()
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
