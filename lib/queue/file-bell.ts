import { type FSWatcher, watch } from 'node:fs'
import { type Doorbell, openDoorbell } from '../doorbell.ts'

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
