import { closeSync, futimesSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { type Limits, type Operations, openOperations, purgeEveryMs } from './engine.ts'

export type Method = Exclude<keyof Operations, 'begin' | 'nextDue' | 'purge'>
export type Call = { id: number; method: Method; args: unknown[] }
export type Reply = { id: number; value?: unknown; error?: Error }
export type ThreadData = { file: string; bell: string; limits: Limits }

/** Longer than any honest transaction here, shorter than a person's patience: then the engine counts as busy. */
const busyMs = 3_000
/** SQLite's own busy handler sleeps up to 100 ms at a time; a transaction lasts about 2. */
const busyStepMs = 0.5
/** One transaction's size: other processes wait for it. */
const maxBatch = 500

const reads = new Set<Method>(['state', 'stats', 'deadLetters', 'lastEvent', 'eventsAfter', 'outcomesAfter'])
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
const operations = openOperations(db, limits)
db.exec('COMMIT')
let synchronous = ''
let purgedAt = 0

port.on('message', (first: Call | 'close') => {
  const calls = gather(first)
  const [alone, together] = partition(calls.filter(call => call !== 'close'))
  port.postMessage([...commit(together), ...alone.map(look)])
  if (calls.includes('close')) close()
})

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

/** Reads need no transaction, and looking for work where there is none must not take the write lock either. */
function partition(calls: Call[]): [alone: Call[], together: Call[]] {
  const idle = calls.some(({ method }) => method === 'claim') && operations.nextDue() > Date.now()
  const isAlone = ({ method }: Call) => reads.has(method) || (idle && method === 'claim')
  return [calls.filter(isAlone), calls.filter(call => !isAlone(call))]
}

function commit(calls: Call[]): Reply[] {
  if (calls.length === 0) return []
  try {
    setSynchronous(calls.every(({ method }) => soft.has(method)) ? 'NORMAL' : 'FULL')
    whenFree(() => db.exec('BEGIN IMMEDIATE'))
    operations.begin()
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

function look(call: Call): Reply {
  try {
    return whenFree(() => run(call))
  } catch (error) {
    return { id: call.id, error: error as Error }
  }
}

function run({ id, method, args }: Call): Reply {
  const operation = operations[method] as (...args: unknown[]) => unknown
  return { id, value: operation.apply(operations, args) }
}

function setSynchronous(level: 'NORMAL' | 'FULL'): void {
  if (level === synchronous) return
  db.exec(`PRAGMA synchronous = ${level}`)
  synchronous = level
}

function purgeNowAndThen(): void {
  if (Date.now() - purgedAt < purgeEveryMs) return
  operations.purge()
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
