import { setTimeout as delay } from 'node:timers/promises'
import { repeat } from '@tintype/lib/repeat.ts'

export type Loop = { stop(): Promise<void> }

/** Waits and acts repeatedly until stopped. An error is passed to `onError` and does not end the loop. */
export function startLoop(
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
  const looping = repeat(0, signal, turn, onError)
  return {
    async stop() {
      stopping.abort()
      await looping
    },
  }
}
