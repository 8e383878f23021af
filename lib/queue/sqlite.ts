import { closeSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { makeFolder } from '../disk.ts'
import { endProcess } from '../errors.ts'
import { type QueueOptions, settingsOf } from './engine.ts'
import { listenTo } from './file-bell.ts'
import { type Queue, type QueueCall, queueOn } from './port.ts'
import type { ThreadData, ThreadReply, ThreadRequest } from './sqlite-thread.ts'

/**
 * The queue in a SQLite file. `node:sqlite` is synchronous and a commit waits for the disk, so that one worker thread
 * for each process runs it. It puts waiting calls into one transaction. No fsync blocks the event loop.
 */
export async function openSqlite(path: string, options: QueueOptions = {}): Promise<Queue> {
  const file = resolve(path)
  const bells = { events: `${file}.bell`, work: `${file}.work` }
  await makeFolder(dirname(file))
  // Created here: the engine's thread would do it too late, and a missing file cannot be watched.
  for (const bell of Object.values(bells)) closeSync(openSync(bell, 'a'))
  const thread = startThread({ file, bells, settings: settingsOf(options) }, options.onDeath ?? endProcess)
  const queue = queueOn(listenTo(bells.events), options, {
    ...thread,
    work: listenTo(bells.work),
    now: Date.now,
  })
  await queue.stats() // throws when the file could not be opened
  return queue
}

/** Most calls of one message, because the thread puts the calls of a message into one transaction. */
const maxMessage = 100

function startThread(workerData: ThreadData, onDeath: (error: Error) => void) {
  // Without the flags of the process, so that the thread loads no telemetry.
  const thread = new Worker(new URL('./sqlite-thread.ts', import.meta.url), { workerData, execArgv: [] })
  const pending = new Map<number, PromiseWithResolvers<unknown>>()
  let calls = 0
  let answered = false
  let closing = false
  let dead: Error | null = null
  const exited = new Promise<void>(resolve => thread.once('exit', () => resolve()))

  const die = (cause?: Error) => {
    if (dead) return
    const message = `queue "${workerData.file}": ${closing ? 'closed' : (cause?.message ?? 'its engine ended')}`
    dead = Object.assign(new Error(message, { cause }), { code: 'ERR_QUEUE_CLOSED' })
    for (const { reject } of pending.values()) reject(dead)
    pending.clear()
    // A thread that never answered could not open the file. `openQueue` has thrown that error.
    if (answered && !closing) onDeath(dead)
  }
  thread.on('error', die)
  thread.on('exit', () => die())
  thread.on('message', (replies: ThreadReply[]) => {
    answered = true
    for (const { id, value, error } of replies) {
      const waiting = pending.get(id)
      pending.delete(id)
      // Structured cloning drops an error's code, so the code is sent beside the message.
      if (error) waiting?.reject(Object.assign(new Error(error.message), { code: error.code }))
      else waiting?.resolve(value)
    }
  })
  const unsent: ThreadRequest[] = []
  /** Calls of one turn of the event loop are sent as one message, because a message costs more than a read. */
  const send = (request: ThreadRequest) => {
    if (unsent.push(request) > 1) return
    setImmediate(() => {
      while (unsent.length > 0) thread.postMessage(unsent.splice(0, maxMessage))
    })
  }
  return {
    ask(call: QueueCall): Promise<unknown> {
      if (dead) return Promise.reject(dead)
      const waiting = Promise.withResolvers<unknown>()
      const id = ++calls
      pending.set(id, waiting)
      send({ ...call, id })
      return waiting.promise
    },
    async close(): Promise<void> {
      closing = true
      send('close')
      await exited
    },
  }
}
