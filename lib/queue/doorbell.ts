import { type FSWatcher, watch } from 'node:fs'

export type Doorbell = {
  /** How often it has rung; taken before looking for work, so that no ring is missed in between. */
  rings(): number
  /** Resolves when it has rung since, when the time is over, or when the signal aborts. */
  wait(since: number, timeoutMs: number, signal: AbortSignal): Promise<void>
  close(): void
}

/** A doorbell of this process, rung by `ring`. */
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

/**
 * Hears the touches of a file. Watching the database's own `-wal` file instead would wake before the commit is visible.
 * A system out of watches is no error: the waiting time ends the wait.
 */
export function listenTo(file: string): Doorbell {
  const doorbell = openDoorbell()
  const watcher = tryWatch(file, doorbell.ring)
  return {
    ...doorbell,
    close() {
      watcher?.close()
      doorbell.close()
    },
  }
}

function tryWatch(file: string, ring: () => void): FSWatcher | undefined {
  try {
    return watch(file, ring).on('error', () => {})
  } catch {
    return undefined
  }
}
