import { dirname } from 'node:path'
import { type Disk, giveToOwner, ignore, syncFolder } from '../disk.ts'

/** Known folders held in memory, about 200 bytes each. Forgetting one costs one more fsync. */
const maxKnown = 20_000

/** Folders below a root. Those of another process are fsynced once (`known`): it may have died before its fsync. */
export function openFolders(root: string, disk: Disk) {
  const known = new Map<string, Promise<void>>()
  /** Makes a folder's entries durable by fsync. Calls that wait for the same folder share one fsync. */
  const sync = shareWaiting(folder => syncFolder(folder, disk))
  /** Makes a folder and those above it, up to the root, and makes each entry durable. */
  const make = (folder: string): Promise<void> => {
    if (folder === root) return Promise.resolve()
    if (known.size >= maxKnown) known.clear()
    return known.getOrInsertComputed(folder, () => {
      const making = makeBelow(dirname(folder), folder)
      making.catch(() => known.get(folder) === making && known.delete(folder))
      return making
    })
  }
  const makeBelow = async (parent: string, folder: string) => {
    await make(parent)
    await disk.mkdir(folder).then(() => giveToOwner(folder), ignore('EEXIST'))
    await sync(parent)
  }
  /** Forgets all folders. Called after something below the root was removed, perhaps by another process. */
  const forget = () => known.clear()
  return { make, sync, forget }
}

/** Runs one call at a time for each key. Callers during a run share the next run: this one may miss their write. */
function shareWaiting(run: (key: string) => Promise<void>): (key: string) => Promise<void> {
  const last = new Map<string, Promise<void>>()
  const waiting = new Map<string, Promise<void>>()
  return key =>
    waiting.getOrInsertComputed(key, () => {
      const mine = Promise.allSettled([last.get(key)]).then(() => {
        waiting.delete(key)
        return run(key)
      })
      last.set(key, mine)
      mine.catch(() => {}).finally(() => last.get(key) === mine && last.delete(key))
      return mine
    })
}
