import { chmodSync, closeSync, copyFileSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ExpectedError } from '@tintype/lib/errors.ts'

/**
 * Opens a SQLite file to read; where its -shm file cannot be made, a temporary copy. Undefined when there is none.
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

/** Undefined when SQLite finds no -shm and can make none: CANTOPEN or READONLY, in any of their forms. */
function tryOpen(file: string, readOnly = true): DatabaseSync | undefined {
  const db = new DatabaseSync(file, { readOnly })
  try {
    // The file is opened with the first query.
    db.prepare('SELECT 1 FROM sqlite_schema').get()
    return db
  } catch (error) {
    db.close()
    if ([8, 14].includes(((error as { errcode?: number }).errcode ?? 0) % 256)) return undefined
    throw error
  }
}

/** The copy is removed as soon as it is open: the process keeps what it has open. */
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
