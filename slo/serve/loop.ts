import { setTimeout as delay } from 'node:timers/promises'
import { repeat } from '@tintype/lib/repeat.ts'

export type Loop = { stop(): Promise<void> }

/** How long a stop waits for what is under way: a source that hangs would use the whole grace time of the process. */
const stopMs = 2_000

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
      await Promise.race([looping, delay(stopMs, undefined, { ref: false })])
    },
  }
}
