/**
 * Loaded into every process by NODE_OPTIONS. While a file exists, web's thread of the queue is asked for events after a
 * number that is never reached: the events are in the queue, and web stays behind.
 */
import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

if (process.argv[1]?.endsWith('services/web/main.ts')) {
  const { postMessage } = Worker.prototype
  Worker.prototype.postMessage = function (call, ...rest) {
    const isStalled = call?.method === 'eventsAfter' && existsSync(process.env.SLOW_WHILE ?? '')
    return postMessage.call(
      this,
      isStalled ? { ...call, args: [Number.MAX_SAFE_INTEGER, call.args[1]] } : call,
      ...rest,
    )
  }
}
