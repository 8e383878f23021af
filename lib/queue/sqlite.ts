import { dirname, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { makeFolder } from '../disk.ts'
import { type CallOutcome, type QueueOperation, queueOperations } from '../telemetry/catalogue.ts'
import { type Doorbell, listenTo } from './doorbell.ts'
import type { Engine, Limits } from './engine.ts'
import type { Call, Method, Methods, Reply, ThreadData } from './engine-thread.ts'
import type { Claim, OpenOptions, Queue, QueueEvent } from './index.ts'

const defaults: Limits = { maxAttempts: 3, maxDepth: 10_000 }

/** A lost ring of the doorbell delays by no more than this. */
const pollMs = 1_000
/** Events and outcomes are read in pages: none holds up the engine. */
const pageRows = 500

/**
 * The queue in a SQLite file. `node:sqlite` is synchronous and a commit waits for the disk, so it runs in one worker
 * thread a process, which gathers what waits into one transaction: no fsync ever blocks the event loop.
 */
export async function openSqlite(path: string, { observe, ...limits }: OpenOptions = {}): Promise<Queue> {
  const file = resolve(path)
  const bell = `${file}.bell`
  await makeFolder(dirname(file))
  const engine = await startEngine({ file, bell, limits: { ...defaults, ...limits } }, observe)
  const doorbell = listenTo(bell)
  let closed = false
  const { call } = engine
  const heldBy = ({ job, token }: Claim) => ({ photo: job.photo, token })

  return {
    enqueue: job => call('enqueue', job),
    async claim(worker, leaseMs, signal) {
      while (!signal.aborted && !closed) {
        const rings = doorbell.rings()
        const found = await call('claim', worker, leaseMs)
        if ('nothingBefore' in found) await waitUntil(doorbell, rings, found.nothingBefore, signal)
        else if (!signal.aborted) return found
        else await call('release', heldBy(found))
      }
      return 'aborted'
    },
    renew: (claim, leaseMs) => call('renew', heldBy(claim), leaseMs),
    complete: (claim, durableAt) => call('complete', heldBy(claim), durableAt),
    fail: (claim, reason) => call('fail', heldBy(claim), reason),
    release: claim => call('release', heldBy(claim)),
    cancel: photo => call('cancel', photo),
    markOverdue: now => call('markOverdue', now),
    state: photo => call('state', photo),
    announce: worker => call('announce', worker),
    stats: () => call('stats'),
    deadLetters: limit => call('deadLetters', limit),
    replay: photo => call('replay', photo),
    restore: (job, settled) => call('restore', job, settled),

    events(after, signal) {
      // Read now, not when the first event is asked for: what happens from this call on is heard.
      const start = after === null ? call('lastEvent') : Promise.resolve(after)
      return follow(start, signal)
    },
    async *outcomes() {
      for (let after = 0; ; ) {
        const rows = await call('outcomesAfter', after, pageRows)
        yield* rows.map(({ photo, outcome }) => ({ photo, outcome }))
        const last = rows.at(-1)
        if (!last) return
        after = last.seq
      }
    },
    async close() {
      if (closed) return
      closed = true
      doorbell.close()
      await engine.close()
    },
  }

  async function* follow(start: Promise<number>, signal: AbortSignal): AsyncIterable<QueueEvent> {
    let seen = await start
    while (!signal.aborted && !closed) {
      const rings = doorbell.rings()
      const events = await call('eventsAfter', seen, pageRows)
      yield* events
      seen = events.at(-1)?.seq ?? seen
      if (events.length < pageRows) await doorbell.wait(rings, pollMs, signal)
    }
  }
}

const waitUntil = (doorbell: Doorbell, rings: number, at: number, signal: AbortSignal): Promise<void> =>
  doorbell.wait(rings, Math.max(0, Math.min(pollMs, at - Date.now())), signal)

/** What an operation takes besides the engine, which stays in its thread. */
type Arguments<F> = F extends (engine: Engine, ...rest: infer R) => unknown ? R : never

const isObserved = (method: Method): method is Method & QueueOperation =>
  (queueOperations as readonly string[]).includes(method)

type Pending = { resolve(value: unknown): void; reject(error: Error): void }

/** The engine's thread, as functions. @throws when the file cannot be opened. */
async function startEngine(workerData: ThreadData, observe: OpenOptions['observe']) {
  // Without the process's own flags: no telemetry is loaded there.
  const thread = new Worker(new URL('./engine-thread.ts', import.meta.url), { workerData, execArgv: [] })
  const pending = new Map<number, Pending>()
  let calls = 0
  let dead: Error | null = null
  const exited = new Promise<void>(resolve => thread.once('exit', () => resolve()))

  const die = (cause?: Error) => {
    dead ??= new Error(`queue "${workerData.file}": ${cause?.message ?? 'closed'}`, { cause })
    for (const { reject } of pending.values()) reject(dead)
    pending.clear()
  }
  thread.on('error', die)
  thread.on('exit', () => die())
  thread.on('message', (replies: Reply[]) => {
    for (const { id, value, error } of replies) {
      const waiting = pending.get(id)
      pending.delete(id)
      if (error) waiting?.reject(error)
      else waiting?.resolve(value)
    }
  })
  async function call<M extends Method>(method: M, ...args: Arguments<Methods[M]>) {
    if (dead) throw dead
    const { promise, ...settle } = Promise.withResolvers<unknown>()
    const id = ++calls
    pending.set(id, settle)
    const start = performance.now()
    const observed = (outcome: CallOutcome) =>
      isObserved(method) && observe?.(method, (performance.now() - start) / 1000, outcome)
    thread.postMessage({ id, method, args } satisfies Call)
    promise.then(
      answer => observed(answer === 'full' || answer === 'stale' ? 'refused' : 'ok'),
      () => observed('ours'),
    )
    return promise.catch(cause => {
      throw new Error(`queue could not ${method}: ${cause.message}`, { cause })
    }) as Promise<ReturnType<Methods[M]>>
  }
  async function close() {
    thread.postMessage('close')
    await exited
  }
  await call('stats') // the file is open, or this throws
  return { call, close }
}
