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
