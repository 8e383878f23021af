import { closeSync, futimesSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { type Limits, openEngine } from './engine.ts'
import * as reads from './reads.ts'
import * as writes from './writes.ts'

export type Methods = typeof reads & Omit<typeof writes, 'purge'>
export type Method = keyof Methods
export type Call = { id: number; method: Method; args: unknown[] }
export type Reply = { id: number; value?: unknown; error?: Error }
export type ThreadData = { file: string; bell: string; limits: Limits }

/** Longer than any honest transaction here, shorter than a person's patience: then the engine counts as busy. */
const busyMs = 3_000
/** SQLite's own busy handler sleeps up to 100 ms at a time; a transaction lasts about 2. */
const busyStepMs = 0.5
/** One transaction's size: other processes wait for it. */
const maxBatch = 500
/** How often old rows are looked for. */
const purgeEveryMs = 10_000
/**
 * What a power cut may undo, since the holder of a lease is gone then too: a transaction of these alone is not
 * fsynced. The log keeps its order, so the next fsynced one makes them durable as well.
 */
const soft = new Set<Method>(['claim', 'renew', 'announce'])
/** What nobody waits for: no ring. */
const silent = new Set<Method>(['renew', 'announce'])

if (!parentPort) throw new Error('the queue engine runs in a worker thread')
const port = parentPort
const { file, bell, limits } = workerData as ThreadData
const bellFile = openSync(bell, 'a')
const db = new DatabaseSync(file)
whenFree(() => db.exec('PRAGMA journal_mode = WAL'))
whenFree(() => db.exec('BEGIN IMMEDIATE'))
const engine = openEngine(db, limits)
db.exec('COMMIT')
const operations: Methods = { ...reads, ...writes }
let synchronous = ''
let purgedAt = 0

port.on('message', (first: Call | 'close') => {
  const batch = gather(first)
  const calls = batch.filter(call => call !== 'close')
  const idle = calls.some(isClaim) && nothingToClaim()
  const isLight = (call: Call) => call.method in reads || (idle && isClaim(call))
  port.postMessage([...commit(calls.filter(call => !isLight(call))), ...calls.filter(isLight).map(look)])
  if (calls.length < batch.length) close()
})

const isClaim = ({ method }: Call) => method === 'claim'

/** Asked first, because a claim takes the write lock, and who finds no work must not take it from those who have some. */
function nothingToClaim(): boolean {
  try {
    return reads.nextDue(engine) > Date.now()
  } catch {
    return false // The claim itself meets the same error and reports it.
  }
}

/** Group commit: what came while the last transaction waited for the disk shares the next one. */
function gather(first: Call | 'close'): (Call | 'close')[] {
  const calls = [first]
  while (calls.length < maxBatch) {
    const next = receiveMessageOnPort(port)
    if (!next) break
    calls.push(next.message)
  }
  return calls
}

function commit(calls: Call[]): Reply[] {
  if (calls.length === 0) return []
  try {
    setSynchronous(calls.every(({ method }) => soft.has(method)) ? 'NORMAL' : 'FULL')
    whenFree(() => db.exec('BEGIN IMMEDIATE'))
    engine.depth = null
    const replies = calls.map(run)
    purgeNowAndThen()
    db.exec('COMMIT')
    if (!calls.every(({ method }) => silent.has(method))) ring()
    return replies
  } catch (error) {
    rollback()
    return calls.map(({ id }) => ({ id, error: error as Error }))
  }
}

/** Without a transaction: a read, or a claim when there was nothing to claim. */
function look(call: Call): Reply {
  try {
    return whenFree(() =>
      isClaim(call) ? { id: call.id, value: { nothingBefore: reads.nextDue(engine) } } : run(call),
    )
  } catch (error) {
    return { id: call.id, error: error as Error }
  }
}

function run({ id, method, args }: Call): Reply {
  const operation = operations[method] as (...args: unknown[]) => unknown
  return { id, value: operation(engine, ...args) }
}

function setSynchronous(level: 'NORMAL' | 'FULL'): void {
  if (level === synchronous) return
  db.exec(`PRAGMA synchronous = ${level}`)
  synchronous = level
}

function purgeNowAndThen(): void {
  if (Date.now() - purgedAt < purgeEveryMs) return
  writes.purge(engine)
  purgedAt = Date.now()
}

/** After COMMIT, when it can be seen. A hint: who misses it looks once a second. */
function ring(): void {
  try {
    futimesSync(bellFile, new Date(), new Date())
  } catch {
    // The photo is safe; only the news of it is slow.
  }
}

/** A failed COMMIT has often rolled back by itself. */
function rollback(): void {
  if (db.isTransaction) db.exec('ROLLBACK')
}

function close(): void {
  db.close()
  closeSync(bellFile)
  port.close()
}

/** @throws the engine's own error when another process holds the lock for longer than busyMs. */
function whenFree<T>(attempt: () => T): T {
  const deadline = performance.now() + busyMs
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  for (;;) {
    try {
      return attempt()
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
