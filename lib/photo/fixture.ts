import { mkdir, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { engineOn, writeEvents } from '../queue/engine.ts'
import { openQueue, type Queue } from '../queue/index.ts'
import { callEngine, type QueueCall, queueOn } from '../queue/port.ts'
import { migrateSqlite, statementsOf } from '../queue/sqlite-file.ts'
import { openStorage, type Storage } from '../storage/index.ts'
import type { Log } from '../telemetry/log.ts'
import type { PhotoContext } from './find.ts'
import { newPhotoId, type Owner, type PhotoRecord, photoKey } from './record.ts'

/** For tests of a photo's life: a context on real files and a real queue, and the counts of its account. */

export const owner: Owner = 'ab'.repeat(16)

/** `ended`: the entries that say how a photo ended; those of a failed one are logged at any LOG_LEVEL. */
type Counted = Record<'settled' | 'ended', [photo: string, what: string][]> &
  Record<'accepted' | 'errors', string[]>

/** A log that writes nothing; errors, and the ends of photos, are remembered. */
const silent = ({ errors, ended }: Counted): Log => {
  const nothing = () => {}
  return {
    error: event => void errors.push(event),
    warn: nothing,
    info: (event, { photo } = {}, _session, isWanted) => {
      if (event === 'photo.ready' || (event === 'photo.failed' && isWanted))
        ended.push([String(photo), event])
    },
    debug: nothing,
    detailed: () => false,
    setLevel: nothing,
    level: () => ({ level: 'info', raised: [] }),
    stalled: () => null,
    unshipped: () => 0,
    close: async () => {},
  }
}

export function countingContext(ports: {
  storage: Storage
  queue: Queue
}): PhotoContext & { counted: Counted } {
  const counted: Counted = { accepted: [], settled: [], ended: [], errors: [] }
  return {
    ...ports,
    counted,
    log: silent(counted),
    account: {
      accepted: ({ id }) => void counted.accepted.push(id),
      settled: ({ photo }, marked) => void (marked && counted.settled.push([photo, marked])),
    },
  }
}

export async function openContext(folder?: string) {
  const at = folder ?? (await temporaryFolder())
  const storage = await openStorage(`file:${join(at, 'storage')}`)
  const queue = await openQueue(`sqlite:${join(at, 'queue.sqlite')}`)
  onTestFinished(() => queue.close())
  return { folder: at, ...countingContext({ storage, queue }) }
}

export const record = (more: Partial<PhotoRecord> = {}): PhotoRecord => ({
  id: newPhotoId(Date.now()),
  owner,
  format: 'jpeg',
  contentType: 'image/jpeg',
  bytes: 3,
  receivedAt: new Date().toISOString(),
  promiseBy: new Date(Date.now() + 60_000).toISOString(),
  receiveSeconds: 0.1,
  probe: false,
  ...more,
})

export const putFile = (storage: Storage, photo: string, file: string, value: unknown = 'x') =>
  storage.put(
    photoKey(owner, photo, file),
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  )

/** Replaces a folder by a link to itself, in which the file system can neither read, write nor remove. */
export async function makeUnusable(path: string): Promise<void> {
  const folder = resolve(path)
  await rm(folder, { recursive: true, force: true })
  await mkdir(dirname(folder), { recursive: true })
  await symlink(basename(folder), folder)
}

/** SQLite's real engine in this process, one operation at a time, with a clock that the test sets. */
export function openModelQueue(
  clock: () => number,
  settings = { maxAttempts: 3, maxDepth: 3, version: '' },
): Queue & { purge(): Promise<void> } {
  const db = new DatabaseSync(':memory:')
  migrateSqlite(db, clock())
  const sql = statementsOf(db)
  let last: Promise<unknown> = Promise.resolve()
  const ask = (call: QueueCall) => {
    const next = last.then(async () => {
      const engine = engineOn(sql, settings, clock)
      db.exec('BEGIN')
      try {
        const value = await callEngine(engine, call)
        writeEvents(engine)
        db.exec('COMMIT')
        return value
      } catch (error) {
        db.exec('ROLLBACK')
        throw error
      }
    })
    last = next.catch(() => {})
    return next
  }
  let nothingToClaim = () => {}
  const bell = { rings: () => 0, wait: async () => nothingToClaim(), close: () => {} }
  const queue = queueOn(bell, {}, { ask, now: clock, close: async () => db.close() })
  return {
    ...queue,
    claim(worker, lease) {
      const abort = new AbortController()
      nothingToClaim = () => abort.abort()
      return queue.claim(worker, lease, abort.signal)
    },
    purge: async () => void (await ask({ method: 'purge', args: [] })),
  }
}
