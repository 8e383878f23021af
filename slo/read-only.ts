import { chmodSync, closeSync, copyFileSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ExpectedError, errorCode } from '@tintype/lib/errors.ts'

/**
 * Opens a SQLite file to read, beside its writer or as a copy that nobody may write to; undefined when there is none.
 * A file in WAL mode takes a -shm file beside it, so one in a folder that cannot be written is read from a temporary copy.
 * @throws ExpectedError when it may not be read, or is damaged.
 */
export function openReadOnly(file: string): DatabaseSync | undefined {
  try {
    closeSync(openSync(file, 'r'))
    return tryOpen(file) ?? openCopy(file)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw new ExpectedError(`${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

/** SQLite opens a file with the first query. */
function tryOpen(file: string): DatabaseSync | undefined {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    db.prepare('SELECT 1 FROM sqlite_schema').get()
    return db
  } catch (error) {
    db.close()
    // No -shm, and none can be made: CANTOPEN or READONLY, in any of their forms.
    if ([8, 14].includes(((error as { errcode?: number }).errcode ?? 0) % 256)) return undefined
    throw error
  }
}

/** Removed as soon as it is open: the process keeps what it has open. */
function openCopy(file: string): DatabaseSync {
  const folder = mkdtempSync(join(tmpdir(), 'tintype-'))
  try {
    const copy = join(folder, basename(file))
    for (const end of ['', '-wal'].filter(each => existsSync(file + each))) {
      copyFileSync(file + end, copy + end)
      chmodSync(copy + end, 0o600)
    }
    const db = new DatabaseSync(copy)
    db.prepare('SELECT 1 FROM sqlite_schema').get()
    return db
  } finally {
    rmSync(folder, { recursive: true })
  }
}
