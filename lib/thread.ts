import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'

/** The first message of a thread. @throws its error, also when it ends without a message: none would ever come. */
export async function answerOf<T>(thread: Worker, name: string): Promise<T> {
  const ended = once(thread, 'exit').then(([code]): never => {
    throw new Error(`${name} ended with ${code}`)
  })
  const [answer] = await Promise.race([once(thread, 'message'), ended])
  return answer
}
