import { type FSWatcher, watch } from 'node:fs'

export type Doorbell = {
  /** The number of rings so far. Read it before looking for work, so that no ring in between is missed. */
  rings(): number
  /** Resolves at the next ring after `rings`, when the time is over, or when the signal aborts. */
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

/**
 * A doorbell that other processes ring by touching a file. It is watched from the first look on: a process that looks for
 * nothing is not woken. Watching the database's `-wal` file would wake before the commit is visible. When the system has no
 * watches left, waits end by their time.
 */
export function listenTo(file: string): Doorbell {
  const doorbell = openDoorbell()
  let watcher: FSWatcher | undefined
  let isWatched = false
  const listen = () => {
    isWatched = true
    try {
      watcher = watch(file, doorbell.ring).on('error', () => {})
    } catch {
      // The system has no watches left.
    }
  }
  return {
    ...doorbell,
    rings() {
      if (!isWatched) listen()
      return doorbell.rings()
    },
    close() {
      watcher?.close()
      doorbell.close()
    },
  }
}
