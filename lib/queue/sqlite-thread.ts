import { closeSync, futimesSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { databaseWatch } from '../disk.ts'
import { orElse, sqliteCode } from '../errors.ts'
import { engineOn, type Settings, writeEvents } from './engine.ts'
import { callEngine, isRead, type Method, type QueueCall } from './port.ts'
import { migrateSqlite, statementsOf } from './sqlite-file.ts'

export type ThreadReply = { value?: unknown; error?: { message: string; code: string } }
/** `bells`: the files to touch after each event, and after each job that begins to wait. */
export type ThreadData = { file: string; bells: { events: string; work: string }; settings: Settings }

/** How long to wait for another process's lock, longer than any transaction takes. Then the engine counts as busy. */
const busyMs = 3_000
/** A reader, such as a backup, makes the write-ahead log grow. Then it shrinks to this size: twice its usual one. */
const maxLogBytes = 8 * 2 ** 20
/** Retry interval for a lock. SQLite's own handler sleeps up to 100 ms, and a transaction takes about 2 ms. */
const busyStepMs = 0.5
/**
 * Calls that a power cut may undo: it also ends a lease's holder, and a purge is repeated. A transaction of only these
 * is not fsynced. The write-ahead log keeps its order, so the next fsynced transaction makes them durable as well.
 */
const soft = new Set<Method>(['claim', 'claimLost', 'renew', 'announce', 'purge'])

const port = parentPort as MessagePort
const { file, bells, settings } = workerData as ThreadData
const eventBell = openSync(bells.events, 'a')
const workBell = openSync(bells.work, 'a')
/** How long a call waits for the lock. After a failed wait it is short, because other calls wait behind this one. */
let patienceMs = busyMs
const brieflyMs = 100
const sleeper = new Int32Array(new SharedArrayBuffer(4))
const db = new DatabaseSync(file)
await whenFree(() => db.exec('PRAGMA journal_mode = WAL'))
db.exec(`PRAGMA journal_size_limit = ${maxLogBytes}`)
await whenFree(() => db.exec('BEGIN IMMEDIATE'))
migrateSqlite(db, Date.now())
db.exec('COMMIT')
const { isThere } = databaseWatch(file)
const newEngine = engineOn.bind(null, statementsOf(db), settings, Date.now)
let synchronous = ''

/** The answers of a batch, in order. `close` ends the thread. */
port.on('message', async (calls: QueueCall[] | 'close') => {
  if (calls === 'close') {
    db.close()
    for (const bell of [eventBell, workBell]) closeSync(bell)
    return port.close()
  }
  const written = await commit(calls.filter(call => !isRead(call)))
  const replies: (ThreadReply | undefined)[] = []
  for (const call of calls) replies.push(isRead(call) ? await read(call) : written.shift())
  port.postMessage(replies)
  if (!isThere()) throw new Error(moved) // ends the process: a restarted one opens the file that is now at the path
})

async function commit(calls: QueueCall[]): Promise<ThreadReply[]> {
  if (calls.length === 0) return []
  try {
    if (!isThere()) throw Object.assign(new Error(moved), { code: 'ENOENT' })
    const needed = calls.every(({ method }) => soft.has(method)) ? 'NORMAL' : 'FULL'
    if (needed !== synchronous) db.exec(`PRAGMA synchronous = ${needed}`)
    synchronous = needed
    await whenFree(() => db.exec('BEGIN IMMEDIATE'))
    patienceMs = busyMs
    const engine = newEngine()
    const replies: ThreadReply[] = []
    for (const call of calls) replies.push({ value: await callEngine(engine, call) })
    writeEvents(engine)
    db.exec('COMMIT')
    if (engine.events.length > 0) ring(eventBell)
    if (engine.events.some(({ state }) => state === 'queued')) ring(workBell)
    return replies
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK') // a failed COMMIT has already rolled back
    return calls.map(() => ({ error: asData(error) }))
  }
}

/** Without a transaction. */
async function read(call: QueueCall): Promise<ThreadReply> {
  try {
    return { value: await whenFree(() => callEngine(newEngine(), call)) }
  } catch (error) {
    return { error: asData(error) }
  }
}

const asData = (error: unknown) => {
  const { message, code } = error as NodeJS.ErrnoException
  return { message, code: code ?? 'ERR_QUEUE' }
}

const moved = 'its file, -wal or -shm was moved or removed'

/** Called after COMMIT, when the change is visible. Readers that miss the ring, also by an error, poll once a second. */
const ring = (bell: number): void => orElse(undefined, () => futimesSync(bell, new Date(), new Date()))

/** @throws the engine's own error when another process holds the lock for longer than `patienceMs`. */
async function whenFree<T>(work: () => T): Promise<Awaited<T>> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      // SQLITE_BUSY, in any of its extended forms.
      const isBusy = sqliteCode(error) === 5
      const isOver = performance.now() > deadline
      if (isBusy && isOver) patienceMs = brieflyMs
      if (!isBusy || isOver) throw error
      Atomics.wait(sleeper, 0, 0, busyStepMs)
    }
  }
}
