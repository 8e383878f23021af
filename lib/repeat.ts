import { setTimeout as sleep } from 'node:timers/promises'

/** What fails each second for a day would fill the log. */
const tellEveryMs = 60_000

/** Passes the first error on at once, and then one a minute until it `worked`. */
export function sparsely(tell: (error: Error) => void) {
  let tellAt = 0
  return {
    worked(): void {
      tellAt = 0
    },
    failed(error: Error): void {
      if (performance.now() < tellAt) return
      tellAt = performance.now() + tellEveryMs
      tell(error)
    },
  }
}

/** Runs a step repeatedly until aborted, `pauseMs` after its end, also after an error, which `onError` gets `sparsely`. */
export async function repeat(
  pauseMs: number,
  signal: AbortSignal,
  step: () => Promise<unknown>,
  onError: (error: Error) => void = () => {},
): Promise<void> {
  const { worked, failed } = sparsely(onError)
  while (!signal.aborted) {
    await step().then(worked, error => signal.aborted || failed(error))
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
}

/** Takes a step for each item. One that fails stops no other; the first error is thrown when all have ended. */
export async function forEach<T>(items: readonly T[], step: (item: T) => Promise<unknown>): Promise<void> {
  const failed = (await Promise.allSettled(items.map(step))).find(({ status }) => status === 'rejected')
  if (failed) throw (failed as PromiseRejectedResult).reason
}
