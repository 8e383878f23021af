/**
 * Loaded into every process by NODE_OPTIONS. While a file exists, web's thread of the queue is asked for events after a
 * number that is never reached: the events are in the queue, and web stays behind.
 */
import { Worker } from 'node:worker_threads'
import { isSlow } from './slow-while.ts'

type Call = { method: string; args: unknown[] } | undefined

if (process.argv[1]?.endsWith('services/web/main.ts')) {
  const { postMessage } = Worker.prototype
  const stalled = (call: Call): Call =>
    call?.method === 'eventsAfter' && isSlow()
      ? { ...call, args: [Number.MAX_SAFE_INTEGER, call.args[1]] }
      : call
  Worker.prototype.postMessage = function (calls, ...rest) {
    return postMessage.call(this, Array.isArray(calls) ? calls.map(stalled) : calls, ...rest)
  }
}
