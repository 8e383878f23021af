import * as fs from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** The calls through which everything durable goes: what a power-cut test puts itself between. */
export type Disk = Pick<typeof fs, 'open' | 'mkdir' | 'rename' | 'link' | 'rm' | 'rmdir' | 'readdir'>

/** Known folders held in memory, about 200 bytes each; a forgotten one costs one fsync more, nothing else. */
const maxKnown = 20_000

export type Folders = {
  /** Makes a folder and those above it, up to the root, and makes each entry durable. */
  make(folder: string): Promise<void>
  /** fsync of a folder: its entries are durable. Calls that wait for the same folder share one fsync. */
  sync(folder: string): Promise<void>
  /** Something below the root was removed, perhaps by another process: nothing is known any more. */
  forget(): void
}

/**
 * Folders below a root. A folder's own entry is made durable by this process even when another one made it,
 * for that one may have died before its fsync; `known` keeps that to once a folder.
 */
export function openFolders(root: string, disk: Disk): Folders {
  const known = new Set<string>([root])
  const sync = shareWaiting(folder => syncFolder(folder, disk))
  const make = async (folder: string): Promise<void> => {
    if (known.has(folder)) return
    const parent = dirname(folder)
    await make(parent)
    await disk.mkdir(folder).catch(ignore('EEXIST'))
    await sync(parent)
    if (known.size >= maxKnown) forget()
    known.add(folder)
  }
  const forget = () => {
    known.clear()
    known.add(root)
  }
  return { make, sync, forget }
}

/** `mkdir -p` that survives a power cut. */
export async function makeFolder(folder: string, disk: Disk = fs): Promise<void> {
  const first = await disk.mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let made = resolve(folder); ; made = dirname(made)) {
    await syncFolder(dirname(made), disk)
    if (made === resolve(first)) return
  }
}

export async function syncFolder(folder: string, disk: Disk): Promise<void> {
  const handle = await disk.open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** For a catch: swallows the named errors, throws every other. */
export const ignore =
  (...codes: string[]) =>
  (error: NodeJS.ErrnoException): undefined => {
    if (!codes.includes(error.code ?? '')) throw error
  }

/** One run a key at a time; who comes while it runs shares the next one, since the present one may have missed their write. */
function shareWaiting(run: (key: string) => Promise<void>): (key: string) => Promise<void> {
  const running = new Map<string, Promise<void>>()
  const waiting = new Map<string, Promise<void>>()
  return async key => {
    const joined = waiting.get(key)
    if (joined) return joined
    const before = running.get(key)
    const start = () => {
      waiting.delete(key)
      const mine = run(key).finally(() => running.get(key) === mine && running.delete(key))
      running.set(key, mine)
      return mine
    }
    if (!before) return start()
    const next = before.then(start, start)
    waiting.set(key, next)
    return next
  }
}
