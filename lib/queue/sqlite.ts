import { type FSWatcher, watch } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { createFile, makeFolder } from '../disk.ts'
import { type Doorbell, openDoorbell } from '../doorbell.ts'
import { endProcess, orElse } from '../errors.ts'
import { type QueueOptions, settingsOf } from './engine.ts'
import { groupCalls } from './group.ts'
import { type Queue, queueOn } from './port.ts'
import type { ThreadData, ThreadReply } from './sqlite-thread.ts'

/**
 * The queue in a SQLite file. `node:sqlite` is synchronous and a commit waits for the disk, so it runs in one worker
 * thread of each process. No fsync blocks the event loop.
 */
export async function openSqlite(path: string, options: QueueOptions): Promise<Queue> {
  const file = resolve(path)
  const bells = { events: `${file}.bell`, work: `${file}.work` }
  makeFolder(dirname(file))
  // Created here: the engine's thread would do it too late, and a missing bell cannot be watched. SQLite opens a file of
  // another user for reading, and would refuse each enqueue.
  for (const each of [file, ...Object.values(bells)]) createFile(each)
  const thread = startThread({ file, bells, settings: settingsOf(options) })
  const queue = queueOn(listenTo(bells.events), options, {
    ...thread,
    work: listenTo(bells.work),
    now: Date.now,
  })
  // Throws when the file cannot be used. The thread would keep the process alive.
  await queue.stats().catch(error => queue.close().then(() => Promise.reject(error)))
  return queue
}

const withRemedy = (message: string): string =>
  /malformed|not a database/.test(message)
    ? `${message}; docs/how-to/recover.md says how to rebuild the queue`
    : message

/** Most calls of one transaction, because other processes wait for its end. */
const maxBatch = 500

function startThread(workerData: ThreadData) {
  // Without the flags of the process, so that the thread loads no telemetry.
  const thread = new Worker(new URL('./sqlite-thread.ts', import.meta.url), { workerData, execArgv: [] })
  const exited = new Promise<void>(resolve => thread.once('exit', () => resolve()))
  let underWay: PromiseWithResolvers<ThreadReply[]> | undefined
  let answered = false
  let closing = false
  let dead: Error | null = null

  const die = (cause?: Error) => {
    if (dead) return
    const why = closing ? 'closed' : withRemedy(cause?.message ?? 'its engine ended')
    const message = `queue "${workerData.file}": ${why}`
    dead = Object.assign(new Error(message, { cause }), { code: 'ERR_QUEUE_CLOSED' })
    underWay?.reject(dead)
    // A thread that never answered could not open the file. `openQueue` has thrown that error.
    if (answered && !closing) endProcess(dead)
  }
  thread.on('error', die)
  thread.on('exit', () => die())
  thread.on('message', (replies: ThreadReply[]) => {
    answered = true
    underWay?.resolve(replies)
  })
  const calls = groupCalls(async batch => {
    if (dead) throw dead
    underWay = Promise.withResolvers()
    thread.postMessage(batch)
    const replies = await underWay.promise
    // Structured cloning drops an error's code, so the code is sent beside the message.
    return replies.map(({ value, error }) =>
      error ? Object.assign(new Error(withRemedy(error.message)), { code: error.code }) : value,
    )
  }, maxBatch)
  return {
    ask: calls.call,
    async close(): Promise<void> {
      closing = true
      await calls.close()
      thread.postMessage('close')
      await exited
    },
  }
}

/**
 * A doorbell that other processes ring by touching a file. The file is watched from the first `rings()` on, so that a
 * process that never waits is not woken. Watching the database's `-wal` file would wake before the commit is visible.
 * Without a watch, waits end by their timeout.
 */
function listenTo(file: string): Doorbell {
  const doorbell = openDoorbell()
  /** Null when the system has no inotify watches left. */
  let watcher: FSWatcher | null | undefined
  const listen = () => orElse(null, () => watch(file, doorbell.ring).on('error', () => {}))
  return {
    ...doorbell,
    rings() {
      if (watcher === undefined) watcher = listen()
      return doorbell.rings()
    },
    close() {
      watcher?.close()
      doorbell.close()
    },
  }
}
