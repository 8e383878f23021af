import { setTimeout as sleep } from 'node:timers/promises'

/** Runs a step again and again until aborted, `pauseMs` after its end, also after an error, which `onError` gets. */
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
