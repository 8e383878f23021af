import * as fs from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { type Disk, ignore, makeFolder } from '../disk.ts'
import type { StorageOperation } from '../telemetry/catalogue.ts'
import { type Folders, openFolders } from './folders.ts'
import { checkKey, checkPrefix, type Key, type OpenOptions, type Storage } from './index.ts'
import { sweep, writerName } from './temporary.ts'

/** No key starts with a dot, so no key can name what is in here. */
const temporaryFolder = '.tmp'

/** A folder removed by another process between making it and using it: made again, this often. */
const maxTries = 5

/**
 * Storage in a local folder. A body is written to a temporary file, fsynced, renamed to its place, and the folder
 * fsynced: a reader sees all of it or nothing, also after a power cut.
 */
export async function openFolder(path: string, options: OpenOptions = {}, disk: Disk = fs): Promise<Storage> {
  const root = resolve(path)
  const temporary = join(root, temporaryFolder)
  await makeFolder(root, disk)
  await disk.mkdir(temporary).catch(ignore('EEXIST'))
  await sweep(temporary, disk)
  const folders = openFolders(root, disk)
  const measured = measure(options)
  const writer = writerName('self') ?? `${process.pid}`
  const newTemporary = () => join(temporary, `${writer}.${++temporaries}`)
  const at = (key: Key) => join(root, key)

  return {
    put: async (key, body, { maxBytes = Number.POSITIVE_INFINITY, ifAbsent = false } = {}) =>
      measured('put', checkKey(key), async pause => {
        const file = newTemporary()
        let renamed = false
        try {
          // Beside the fsync of the body, since each takes its turn of the disk; place makes what fails here again.
          const makeRoom = () => folders.make(dirname(at(key))).catch(() => {})
          const bytes = await writeDurably(disk, file, body, { maxBytes, pause, makeRoom })
          if (bytes === 'too-large') return bytes
          const placed = await place(disk, folders, file, at(key), ifAbsent)
          renamed = placed === 'renamed'
          return placed === 'exists' ? placed : { bytes }
        } finally {
          if (!renamed) await disk.rm(file, { force: true })
        }
      }),

    get: async (key, range) =>
      measured('get', checkKey(key), async () => {
        const handle = await disk.open(at(key), 'r').catch(ignore('ENOENT', 'ENOTDIR'))
        if (!handle) return 'not-found'
        const stat = await handle.stat()
        if (!stat.isFile()) {
          await handle.close()
          return 'not-found'
        }
        const start = Math.min(range?.start ?? 0, stat.size)
        const bytes = Math.max(0, Math.min(range?.end ?? stat.size, stat.size - 1) + 1 - start)
        if (bytes > 0) return { body: handle.createReadStream({ start, end: start + bytes - 1 }), bytes }
        await handle.close()
        return { body: Readable.from([]), bytes }
      }),

    read: async key =>
      measured('get', checkKey(key), async () => {
        const handle = await disk.open(at(key), 'r').catch(ignore('ENOENT', 'ENOTDIR'))
        if (!handle) return 'not-found'
        try {
          return (await handle.readFile().catch(ignore('EISDIR'))) ?? 'not-found'
        } finally {
          await handle.close()
        }
      }),

    async *list(prefix, after) {
      yield* walk(checkPrefix(prefix), after)
    },

    delete: async key =>
      measured('delete', key.endsWith('/') ? checkPrefix(key) : checkKey(key), async () => {
        // Renamed first: gone at once for every reader, and what a kill leaves of it is swept at the next start.
        const trash = newTemporary()
        const gone = await disk
          .rename(at(key).replace(/\/$/, ''), trash)
          .then(() => true, ignore('ENOENT', 'ENOTDIR'))
        if (!gone) return
        await disk.rm(trash, { recursive: true, force: true })
        await syncNearest(dirname(at(key)))
        await prune(dirname(at(key)))
      }),

    close: async () => {},
  }

  async function* walk(prefix: Key, after: Key | undefined): AsyncIterable<Key> {
    const entries = await measured('list', prefix, () =>
      disk.readdir(at(prefix), { withFileTypes: true }).catch(ignore('ENOENT', 'ENOTDIR')),
    )
    // With its slash a folder sorts among files as its keys do.
    const names = (entries ?? []).map(entry => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort()
    for (const key of names.map(name => prefix + name)) {
      if (!key.endsWith('/')) {
        if (after === undefined || key > after) yield key
      } else if (after === undefined || key > after || after.startsWith(key)) yield* walk(key, after)
    }
  }

  /** A neighbour's delete may have pruned the folder meanwhile; then the removal is durable with that of the folder. */
  async function syncNearest(folder: string): Promise<void> {
    const synced = await folders.sync(folder).then(() => true, ignore('ENOENT'))
    if (!synced) await syncNearest(dirname(folder))
  }

  /** Removes the folders that a delete left empty, so that sessions come and go without a trace. */
  async function prune(folder: string): Promise<void> {
    folders.forget()
    for (let empty = folder; empty !== root; empty = dirname(empty)) {
      const removed = await disk.rmdir(empty).then(() => true, ignore('ENOTEMPTY', 'EEXIST', 'ENOENT'))
      if (!removed) return
    }
  }
}

/** A write to disk costs as much for one chunk of a socket (64 KiB) as for four; more would cost memory an upload. */
const writeBytes = 256 * 1024

/** Unique within the process, whatever it opens. */
let temporaries = 0

type Pause = { waitedMs: number }

/** Writes and fsyncs a new file. Waiting for a slow sender is not the storage's time: it is added to `pause`. */
async function writeDurably(
  disk: Disk,
  file: string,
  body: Readable | Buffer,
  { maxBytes, pause, makeRoom }: { maxBytes: number; pause: Pause; makeRoom(): Promise<void> },
): Promise<number | 'too-large'> {
  // An error before the loop below listens would end the process; the loop meets it all the same.
  if (body instanceof Readable) body.on('error', () => {})
  const handle = await disk.open(file, 'wx')
  try {
    let bytes = 0
    // The body is not destroyed when we stop early: the sender may still be owed an answer on its connection.
    const chunks = body instanceof Readable ? body.iterator({ destroyOnReturn: false }) : [body]
    let gathered: Buffer[] = []
    let waitingSince = performance.now()
    for await (const chunk of chunks) {
      pause.waitedMs += performance.now() - waitingSince
      bytes += chunk.length
      if (bytes > maxBytes) return 'too-large'
      gathered.push(chunk)
      if (bytesOf(gathered) >= writeBytes) {
        await writeAll(handle, gathered)
        gathered = []
      }
      waitingSince = performance.now()
    }
    pause.waitedMs += performance.now() - waitingSince
    await writeAll(handle, gathered)
    await Promise.all([handle.sync(), makeRoom()])
    return bytes
  } finally {
    await handle.close()
  }
}

/** Gives a whole, fsynced file its name, durably. */
async function place(
  disk: Disk,
  folders: Folders,
  file: string,
  target: string,
  ifAbsent: boolean,
): Promise<'renamed' | 'linked' | 'exists'> {
  const folder = dirname(target)
  for (let attempt = 1; ; attempt++) {
    try {
      await folders.make(folder)
      const placed = ifAbsent
        ? await disk.link(file, target).then(() => 'linked' as const, ifExists)
        : await disk.rename(file, target).then(() => 'renamed' as const)
      // Also when it exists: its writer may have died before this fsync, and our caller builds on it.
      await folders.sync(folder)
      return placed
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === maxTries) throw error
      folders.forget()
    }
  }
}

const ifExists = (error: NodeJS.ErrnoException): 'exists' => {
  ignore('EEXIST')(error)
  return 'exists'
}

/** Times an operation and names the key in what it throws. */
function measure({ observe }: OpenOptions) {
  return async <T>(operation: StorageOperation, key: Key, run: (pause: Pause) => Promise<T>): Promise<T> => {
    const start = performance.now()
    const pause = { waitedMs: 0 }
    try {
      return await run(pause)
    } catch (error) {
      throw new Error(`storage could not ${operation} "${key}": ${(error as Error).message}`, {
        cause: error,
      })
    } finally {
      observe?.(operation, 'fs', (performance.now() - start - pause.waitedMs) / 1000)
    }
  }
}

const bytesOf = (chunks: readonly Buffer[]): number => chunks.reduce((sum, { length }) => sum + length, 0)

/** One call for several chunks; the system may take fewer bytes than it was given. */
async function writeAll(handle: fs.FileHandle, chunks: readonly Buffer[]): Promise<void> {
  const length = bytesOf(chunks)
  if (length === 0) return
  const { bytesWritten } = await handle.writev(chunks)
  if (bytesWritten < length) await handle.writeFile(Buffer.concat(chunks).subarray(bytesWritten))
}
