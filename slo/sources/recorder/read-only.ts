import { chmodSync, closeSync, copyFileSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ExpectedError, sqliteCode } from '@tintype/lib/errors.ts'

/**
 * Opens a SQLite file for reading, or a copy if its -shm file cannot be created; undefined without a file.
 * @throws ExpectedError.
 */
export function openReadOnly(file: string): DatabaseSync | undefined {
  try {
    closeSync(openSync(file, 'r'))
    return tryOpen(file) ?? openCopy(file)
  } catch (error) {
    const { code, path, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && path === file) return undefined
    throw new ExpectedError(`${file} cannot be read: ${message}`, { cause: error })
  }
}

/** Undefined when SQLite can neither find nor create the -shm file: CANTOPEN or READONLY, in any of their forms. */
function tryOpen(file: string, readOnly = true): DatabaseSync | undefined {
  const db = new DatabaseSync(file, { readOnly })
  try {
    // Only the first query opens the file.
    db.prepare('SELECT 1 FROM sqlite_schema').get()
    return db
  } catch (error) {
    db.close()
    if ([8, 14].includes(sqliteCode(error))) return undefined
    throw error
  }
}

/** Opens a temporary copy and removes it at once: the process keeps the open file. */
function openCopy(file: string): DatabaseSync | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'slo-recorder-'))
  try {
    for (const end of ['', '-wal'].filter(each => existsSync(file + each))) {
      copyFileSync(file + end, join(folder, `copy${end}`))
      chmodSync(join(folder, `copy${end}`), 0o600)
    }
    return tryOpen(join(folder, 'copy'), false)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
