import { setTimeout as delay } from 'node:timers/promises'

export type Loop = { stop(): Promise<void> }

/**
 * Waits and acts again and again until it is stopped. What fails is told and tried again at the next turn: no failure ends
 * the loop. `waitMs` is asked before each turn.
 */
export function repeat(
  waitMs: () => number,
  act: (signal: AbortSignal) => Promise<void>,
  onError: (error: unknown) => void,
): Loop {
  const stopping = new AbortController()
  const { signal } = stopping
  const loop = async (): Promise<void> => {
    while (!signal.aborted)
      try {
        await delay(waitMs(), undefined, { signal })
        await act(signal)
      } catch (error) {
        if (!signal.aborted) onError(error)
      }
  }
  const looping = loop()
  return {
    async stop() {
      stopping.abort()
      await looping
    },
  }
}
