import { type FSWatcher, watch } from 'node:fs'
import { type Doorbell, openDoorbell } from '../doorbell.ts'

/**
 * A doorbell that other processes ring by touching a file. The file is watched from the first `rings()` on, so that a
 * process that never waits is not woken. Watching the database's `-wal` file would wake before the commit is visible.
 * Without a watch, waits end by their timeout.
 */
export function listenTo(file: string): Doorbell {
  const doorbell = openDoorbell()
  /** Null when the system has no inotify watches left. */
  let watcher: FSWatcher | null | undefined
  const listen = () => {
    try {
      return watch(file, doorbell.ring).on('error', () => {})
    } catch {
      return null
    }
  }
  return {
    ...doorbell,
    rings() {
      if (watcher === undefined) watcher = listen()
      return doorbell.rings()
    },
    close() {
      watcher?.close()
      doorbell.close()
    },
  }
}
