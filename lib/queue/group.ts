import { setImmediate as nextTurn } from 'node:timers/promises'
import type { QueueCall } from './port.ts'

type Waiting = QueueCall & Pick<PromiseWithResolvers<unknown>, 'resolve' | 'reject'>

/** Code of an engine that gives no answer in time. */
export const noAnswer = 'ETIMEDOUT'

/**
 * Group commit: the calls of one turn of the event loop, and those that come while a batch is under way, share the next batch,
 * and so its transaction and its fsync. `run` gives their answers in order; an error among them is that of its call.
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
        const answers = await run(batch.map(({ method, args }) => ({ method, args })))
        for (const [i, { resolve, reject }] of batch.entries())
          answers[i] instanceof Error ? reject(answers[i]) : resolve(answers[i])
      } catch (error) {
        // Waiting calls would wait for the same server in vain.
        const isAway = (error as NodeJS.ErrnoException).code === noAnswer
        for (const { reject } of isAway ? [...batch, ...pending.splice(0)] : batch) reject(error)
      }
    }
    working = undefined
  }

  return {
    call({ method, args }: QueueCall): Promise<unknown> {
      if (closed) return Promise.reject(Object.assign(new Error('closed'), { code: 'ERR_QUEUE_CLOSED' }))
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      pending.push({ method, args, resolve, reject })
      working ??= work()
      return promise
    },
    /** Resolves when the waiting calls are answered; later ones are refused. */
    async close(): Promise<void> {
      closed = true
      await working
    },
  }
}
