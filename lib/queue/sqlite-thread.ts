import { closeSync, futimesSync, openSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Limits } from './engine.ts'
import type { Method } from './port.ts'
import * as reads from './reads.ts'
import { openEngine } from './sqlite-file.ts'
import * as writes from './writes.ts'

export type Call = { id: number; method: Method; args: unknown[] }
export type Reply = { id: number; value?: unknown; error?: { message: string; code: string } }
export type ThreadData = { file: string; bell: string; limits: Limits }

/** How long to wait for another process's lock; longer than any transaction takes. Then the engine counts as busy. */
const busyMs = 3_000
/** Retry interval for a lock. SQLite's own handler sleeps up to 100 ms, and a transaction takes about 2 ms. */
const busyStepMs = 0.5
/** Most calls of one transaction, for which other processes wait. */
const maxBatch = 500
/** Interval of purges. */
const purgeEveryMs = 10_000
/** Interval while more rows are old than one purge removes. */
const purgeMoreMs = 500
/**
 * Calls that a power cut may undo, because the holder of the lease is gone then too. A transaction of only these is not
 * fsynced. The write-ahead log keeps its order, so the next fsynced transaction makes them durable as well.
 */
const soft = new Set<Method>(['claim', 'renew', 'announce'])

if (!parentPort) throw new Error('the queue engine runs in a worker thread')
const port = parentPort
const { file, bell, limits } = workerData as ThreadData
const bellFile = openSync(bell, 'a')
const db = new DatabaseSync(file)
const { ino } = statSync(file)
await whenFree(() => db.exec('PRAGMA journal_mode = WAL'))
await whenFree(() => db.exec('BEGIN IMMEDIATE'))
const engine = openEngine(db, limits)
db.exec('COMMIT')
const operations = { ...reads, ...writes } as unknown as Record<Method, (...args: unknown[]) => unknown>
let synchronous = ''
let purgeAt = 0

// Operations await only answers that SQLite has already given, so a batch ends before the next message is handled.
port.on('message', async (first: Call | 'close') => {
  const batch = gather(first)
  const calls = batch.filter(call => call !== 'close')
  const idle = calls.some(isClaim) && (await nothingToClaim())
  const isLight = (call: Call) => call.method in reads || (idle && isClaim(call))
  const replies = await commit(calls.filter(call => !isLight(call)))
  for (const call of calls.filter(isLight)) replies.push(await answer(call, isClaim(call)))
  port.postMessage(replies)
  if (calls.length < batch.length) close()
  else endWithoutFile()
})

const isClaim = ({ method }: Call) => method === 'claim'

/** Checks for work before a claim: the claim takes the write lock, and idle workers must not delay busy ones. */
async function nothingToClaim(): Promise<boolean> {
  try {
    return (await reads.nextDue(engine)) > Date.now()
  } catch {
    return false // The claim itself meets the same error and reports it.
  }
}

/** Group commit: calls that arrived while the last transaction waited for the disk share the next one. */
function gather(first: Call | 'close'): (Call | 'close')[] {
  const calls = [first]
  while (calls.length < maxBatch) {
    const next = receiveMessageOnPort(port)
    if (!next) break
    calls.push(next.message)
  }
  return calls
}

async function commit(calls: Call[]): Promise<Reply[]> {
  if (calls.length === 0) return []
  try {
    assertFile()
    setSynchronous(calls.every(({ method }) => soft.has(method)) ? 'NORMAL' : 'FULL')
    await whenFree(() => db.exec('BEGIN IMMEDIATE'))
    Object.assign(engine, { depth: null, sweptAt: null, hasNews: false })
    const replies: Reply[] = []
    for (const call of calls) replies.push({ id: call.id, value: await run(call) })
    await purgeNowAndThen()
    db.exec('COMMIT')
    if (engine.hasNews) ring()
    return replies
  } catch (error) {
    rollback()
    return calls.map(({ id }) => ({ id, error: asData(error) }))
  }
}

/** Without a transaction: a read, or a claim when there was nothing to claim. */
async function answer(call: Call, nothing: boolean): Promise<Reply> {
  try {
    const value = await whenFree(async () =>
      nothing ? { nothingBefore: await reads.nextDue(engine) } : run(call),
    )
    return { id: call.id, value }
  } catch (error) {
    return { id: call.id, error: asData(error) }
  }
}

const run = ({ method, args }: Call): unknown => operations[method](engine, ...args)

const asData = (error: unknown) => {
  const { message, code } = error as NodeJS.ErrnoException
  return { message, code: code ?? 'ERR_QUEUE' }
}

/**
 * @throws Error with a code when the file was moved or removed: SQLite would go on writing where no other process reads.
 */
function assertFile(): void {
  if (isThere()) return
  throw Object.assign(new Error('its file was moved or removed'), { code: 'ENOENT' })
}

const isThere = (): boolean => statSync(file, { throwIfNoEntry: false })?.ino === ino

/** Ends the process; its next start opens the file at the path again. */
function endWithoutFile(): void {
  if (!isThere()) process.exit(1)
}

function setSynchronous(level: 'NORMAL' | 'FULL'): void {
  if (level === synchronous) return
  db.exec(`PRAGMA synchronous = ${level}`)
  synchronous = level
}

async function purgeNowAndThen(): Promise<void> {
  if (Date.now() < purgeAt) return
  const { more } = await writes.purge(engine)
  purgeAt = Date.now() + (more ? purgeMoreMs : purgeEveryMs)
}

/** Rings after COMMIT, when the change is visible. A reader that misses the ring polls once a second. */
function ring(): void {
  try {
    futimesSync(bellFile, new Date(), new Date())
  } catch {
    // The photo is durable; only its event is delayed.
  }
}

/** Rolls back, unless a failed COMMIT has already done so. */
function rollback(): void {
  if (db.isTransaction) db.exec('ROLLBACK')
}

function close(): void {
  db.close()
  closeSync(bellFile)
  port.close()
}

/** @throws the engine's own error when another process holds the lock for longer than busyMs. */
async function whenFree<T>(attempt: () => T): Promise<Awaited<T>> {
  const deadline = performance.now() + busyMs
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error
      Atomics.wait(sleeper, 0, 0, busyStepMs)
    }
  }
}

/** SQLITE_BUSY, in any of its extended forms. */
function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === 5
}
