import { setImmediate as nextTurn } from 'node:timers/promises'
import type { QueueCall } from './port.ts'

type Waiting = PromiseWithResolvers<unknown> & { call: QueueCall }

/** The code of the error when an engine does not answer in time. */
export const noAnswer = 'ETIMEDOUT'

/**
 * Group commit: the calls of one turn of the event loop, and those that arrive during a batch, share the next batch,
 * its transaction and its fsync. `run` returns their answers in order; an answer that is an Error rejects its call.
 */
export function groupCalls(run: (calls: QueueCall[]) => Promise<unknown[]>, maxBatch: number) {
  const pending: Waiting[] = []
  let working: Promise<void> | undefined
  let closed = false

  async function work(): Promise<void> {
    await nextTurn()
    while (pending.length > 0) {
      const batch = pending.splice(0, maxBatch)
      try {
        const answers = await run(batch.map(({ call }) => call))
        for (const [i, { resolve, reject }] of batch.entries())
          answers[i] instanceof Error ? reject(answers[i]) : resolve(answers[i])
      } catch (error) {
        // Pending calls would only wait for the same server.
        const isAway = (error as NodeJS.ErrnoException).code === noAnswer
        for (const { reject } of isAway ? [...batch, ...pending.splice(0)] : batch) reject(error)
      }
    }
    working = undefined
  }

  return {
    call(call: QueueCall): Promise<unknown> {
      if (closed) return Promise.reject(Object.assign(new Error('closed'), { code: 'ERR_QUEUE_CLOSED' }))
      const waiting = { call, ...Promise.withResolvers<unknown>() }
      pending.push(waiting)
      working ??= work()
      return waiting.promise
    },
    /** Resolves when all pending calls are answered. Later calls are refused. */
    async close(): Promise<void> {
      closed = true
      await working
    },
  }
}
