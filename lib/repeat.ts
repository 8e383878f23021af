import { setTimeout as sleep } from 'node:timers/promises'

/** Runs a step repeatedly until aborted, `pauseMs` after its end, also after an error, which is passed to `onError`. */
export async function repeat(
  pauseMs: number,
  signal: AbortSignal,
  step: () => Promise<unknown>,
  onError: (error: Error) => void = () => {},
): Promise<void> {
  while (!signal.aborted) {
    await step().catch(error => signal.aborted || onError(error))
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
}

/** Takes a step for each item. One that fails stops no other; the first error is thrown when all have ended. */
export async function forEach<T>(items: readonly T[], step: (item: T) => Promise<unknown>): Promise<void> {
  const failed = (await Promise.allSettled(items.map(step))).find(({ status }) => status === 'rejected')
  if (failed) throw (failed as PromiseRejectedResult).reason
}
