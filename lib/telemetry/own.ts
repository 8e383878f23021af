import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createFile, makeFolder } from '../disk.ts'
import { sqliteCode } from '../errors.ts'

/**
 * Makes this process the only owner of a folder (created if absent) until it calls the returned function or ends, also
 * by kill -9. The lock is an open exclusive transaction on a small SQLite file: a pid file would outlive kill -9, and
 * Node has no flock. `waitMs`: how long it may block while another process owns the folder.
 * @throws Error when the folder cannot be written.
 */
export function ownFolder(folder: string, waitMs = 0): (() => void) | 'taken' {
  makeFolder(folder)
  const file = join(folder, 'owner.lock')
  // The system ends a process's locks on a file that it opens and closes, and this process may be the owner.
  if (!existsSync(file)) createFile(file)
  const database = new DatabaseSync(file)
  try {
    database.exec(`PRAGMA busy_timeout = ${waitMs}; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE`)
    return () => database.close()
  } catch (error) {
    database.close()
    if (sqliteCode(error) === 5) return 'taken' // SQLITE_BUSY
    throw new Error(`could not lock the folder ${folder}`, { cause: error })
  }
}
