import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { openQueue, type Queue, type QueueOptions } from './index.ts'

/** The calls of a test to a queue in another process. */
type Remote = Pick<
  Queue,
  'enqueue' | 'renew' | 'complete' | 'fail' | 'release' | 'mark' | 'stats' | 'announce'
> & {
  claim(worker: string, leaseMs: number): ReturnType<Queue['claim']>
}
type Request = { id: number; method: keyof Remote; args: unknown[] }

/**
 * Opens a queue in a separate process, which a test kills or stops. For tests only. `script`: this file, or that of
 * another release.
 */
export async function openElsewhere(
  url: string,
  options: QueueOptions = {},
  script: string = import.meta.filename,
): Promise<{ queue: Remote; process: ChildProcess; kill(): Promise<void> }> {
  const child = fork(script, [url, JSON.stringify(options)], { execArgv: [] })
  const pending = new Map<number, PromiseWithResolvers<unknown>>()
  let requests = 0
  child.on('exit', () => {
    for (const { reject } of pending.values()) reject(new Error('the other process has ended'))
  })
  child.on('message', ({ id, value, error }: { id: number; value: unknown; error?: string }) => {
    if (error) pending.get(id)?.reject(new Error(error))
    else pending.get(id)?.resolve(value)
    pending.delete(id)
  })
  const ask =
    (method: keyof Remote) =>
    (...args: unknown[]) => {
      const answer = Promise.withResolvers<unknown>()
      pending.set(++requests, answer)
      child.send({ id: requests, method, args } satisfies Request)
      return answer.promise
    }
  const queue = new Proxy({} as Remote, { get: (_, method: keyof Remote) => ask(method) })
  const exited = once(child, 'exit')
  await queue.stats()
  return {
    queue,
    process: child,
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

if (process.send && import.meta.main) {
  const [url = '', options = '{}'] = process.argv.slice(2)
  const queue = await openQueue(url, JSON.parse(options))
  const forever = new AbortController().signal
  process.on('message', async ({ id, method, args }: Request) => {
    const call = queue[method] as (...args: unknown[]) => Promise<unknown>
    const answer = await call(...args, ...(method === 'claim' ? [forever] : [])).then(
      value => ({ id, value }),
      error => ({ id, error: String(error) }),
    )
    process.send?.(answer)
  })
}
