import { setTimeout as delay } from 'node:timers/promises'

export type Loop = { stop(): Promise<void> }

/** Waits and acts again and again until it is stopped. An error of a turn is passed to `onError` and does not end the loop. */
export function repeat(
  waitMs: () => number,
  act: (signal: AbortSignal) => Promise<void>,
  onError: (error: unknown) => void,
): Loop {
  const stopping = new AbortController()
  const { signal } = stopping
  const turn = async (): Promise<void> => {
    await delay(waitMs(), undefined, { signal })
    await act(signal)
  }
  const loop = async (): Promise<void> => {
    while (!signal.aborted) await turn().catch(error => signal.aborted || onError(error))
  }
  const looping = loop()
  return {
    async stop() {
      stopping.abort()
      await looping
    },
  }
}
