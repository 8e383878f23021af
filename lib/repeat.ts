import { setTimeout as sleep } from 'node:timers/promises'

/** A step that fails each second for a day would fill the log. */
const tellEveryMs = 60_000

/**
 * Runs a step repeatedly until aborted, `pauseMs` after its end, also after an error. `onError` gets the first error at
 * once, and one a minute while each further step fails, too.
 */
export async function repeat(
  pauseMs: number,
  signal: AbortSignal,
  step: () => Promise<unknown>,
  onError: (error: Error) => void = () => {},
): Promise<void> {
  let tellAt = 0
  while (!signal.aborted) {
    try {
      await step()
      tellAt = 0
    } catch (error) {
      if (!signal.aborted && performance.now() >= tellAt) {
        tellAt = performance.now() + tellEveryMs
        onError(error as Error)
      }
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
}

/** Takes a step for each item. One that fails stops no other; the first error is thrown when all have ended. */
export async function forEach<T>(items: readonly T[], step: (item: T) => Promise<unknown>): Promise<void> {
  const failed = (await Promise.allSettled(items.map(step))).find(({ status }) => status === 'rejected')
  if (failed) throw (failed as PromiseRejectedResult).reason
}
