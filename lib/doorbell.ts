export type Doorbell = {
  /** The number of rings so far. Read it before looking for work, so that no ring in between is missed. */
  rings(): number
  /** Resolves when there was a ring after `since` (an earlier `rings()`), at the timeout, or when the signal aborts. */
  wait(since: number, timeoutMs: number, signal: AbortSignal): Promise<void>
  close(): void
}

/** A doorbell within this process, rung by `ring`. */
export function openDoorbell(): Doorbell & { ring(): void } {
  let rings = 0
  const waiting = new Set<() => void>()
  const ring = () => {
    rings++
    for (const wake of waiting) wake()
  }
  return {
    ring,
    rings: () => rings,
    wait: (since, timeoutMs, signal) =>
      new Promise(resolve => {
        if (rings !== since || signal.aborted) return resolve()
        const wake = () => {
          clearTimeout(timer)
          waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const timer = setTimeout(wake, timeoutMs)
        waiting.add(wake)
        signal.addEventListener('abort', wake)
      }),
    close: ring,
  }
}
