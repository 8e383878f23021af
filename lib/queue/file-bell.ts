import { type FSWatcher, watch } from 'node:fs'
import { type Doorbell, openDoorbell } from '../doorbell.ts'

/**
 * A doorbell that other processes ring by touching a file. The file is watched from the first `rings()` on, so that a
 * process that never waits is not woken. Watching the database's `-wal` file would wake before the commit is visible.
 * When the system has no inotify watches left, waits end by their timeout.
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
      // The system has no inotify watches left.
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
