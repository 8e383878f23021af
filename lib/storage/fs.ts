import { createReadStream, fstatSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { dayMs } from '../day.ts'
import { type Disk, giveToOwner, ignore, makeFolder, realDisk } from '../disk.ts'
import { ExpectedError, endProcess, errorCode } from '../errors.ts'
import { isRunning, processName } from '../process-name.ts'
import { type Draft, writeDraft } from './draft.ts'
import { openFolders } from './folders.ts'
import type { Key, Measure, Put, StorageCall, StorageOptions, Stored } from './storage.ts'
import { storageOn } from './storage.ts'

/** No key starts with a dot, so no key can name a file in this folder. */
const temporaryFolder = '.tmp'

/** The folders of photos and of Idempotency-Keys. Others on the disk may belong to other programs. */
const ownFolders = ['photos', 'keys']

/** A folder that stays is not empty, or is a symbolic link or a mount point. */
const kept = ['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EBUSY']

/** Attempts to make a folder that another process keeps removing. */
const maxTries = 5

/** Errors of a folder of another user, and of a disk that is mounted read-only. */
const notWritable = /^(EACCES|EROFS)$/

/** Errors of a disk without hard links, by which a file is created only if it is absent. A full disk has other errors. */
const noLinks = /^(EPERM|EINVAL|ENOSYS|ENOTSUP|EOPNOTSUPP)$/

/** Tries whether a new file can be linked to a folder. @throws when no photo could be stored there. */
async function tryFolder(disk: Disk, root: string, name: string, file: string): Promise<void> {
  const tried = join(root, name, '.tried')
  try {
    disk.closeSync(await disk.open(file, 'w'))
    await disk.link(file, tried)
  } catch (error) {
    const code = errorCode(error) ?? ''
    // A backup that root put back has folders of root. Where links work in .tmp, a folder that refuses them is immutable.
    if (notWritable.test(code) || (code === 'EPERM' && name !== temporaryFolder)) throw error
    if (noLinks.test(code))
      throw new ExpectedError(
        `the disk of storage "${root}" has no hard links, like exFAT and some network shares: use another one`,
      )
    // Also between two mounts of one disk.
    if (code === 'EXDEV')
      throw new ExpectedError(
        `"${name}" is not on the disk of storage "${root}": a file could not be renamed to it`,
      )
  } finally {
    // Both names are of no key. In a folder that cannot be used there is no file to remove.
    for (const each of [file, tried]) await disk.rm(each, { force: true }).catch(() => {})
  }
}

/** Unique within the process over all storages that it opens. */
let temporaries = 0

/** A complete file and the place to which it is renamed. */
type Placed = Draft & {
  target: string
  ifAbsent: boolean
  beside: boolean
  placed?: 'renamed' | 'linked' | 'exists'
}

/** A network share keeps a file that is being read until it is closed. The folder is then removed at a later start. */
const removeTemporary = (disk: Disk, path: string) =>
  disk.rm(path, { recursive: true, force: true }).catch(ignore('ENOTEMPTY', 'EBUSY'))

/**
 * Removes files of dead processes, named `<process>.<number>.<host>`. Whether a process of another container runs cannot
 * be seen here: its files are removed when they are a day old.
 */
async function removeLeftovers(disk: Disk, temporary: string): Promise<void> {
  for (const name of await disk.readdir(temporary)) {
    const [file, [owner = '', , ...host]] = [join(temporary, name), name.split('.')]
    const isYoung = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) < dayMs
    // An older version wrote no host.
    const isHere = host.length === 0 || host.join('.') === hostname()
    if (!(isHere ? isRunning(owner) : isYoung)) await removeTemporary(disk, file)
  }
}

/**
 * Storage in a local folder. A body is written to a temporary file, fsynced and renamed to its place; then the folder
 * is fsynced. A reader sees all of it or nothing, also after a power cut.
 */
export async function openFolder(path: string, options: StorageOptions = {}, disk: Disk = realDisk) {
  const root = resolve(path)
  const temporary = join(root, temporaryFolder)
  makeFolder(root, { disk })
  const { ino } = statSync(root)
  const makeTemporary = () => disk.mkdir(temporary).then(() => giveToOwner(temporary), ignore('EEXIST'))
  await makeTemporary()
  let closed = false
  const restoreTemporary = () => {
    if (!closed && statSync(root, { throwIfNoEntry: false })?.ino !== ino)
      endProcess(new Error(`storage "${root}" was moved, removed or unmounted`))
    return makeTemporary()
  }
  await removeLeftovers(disk, temporary)
  const folders = openFolders(root, disk)
  const writer = processName(process.pid)
  const newTemporary = () => join(temporary, `${writer}.${++temporaries}.${hostname()}`)
  const own = (await disk.readdir(root)).filter(each => ownFolders.includes(each))
  for (const name of own) makeFolder(join(root, name), { disk })
  for (const name of [temporaryFolder, ...own]) await tryFolder(disk, root, name, newTemporary())
  const at = (key: Key) => `${root}/${key}`

  /** Writes and fsyncs all files, renames them in order, then fsyncs their folder once. */
  async function store(files: AsyncIterable<Put>, call: StorageCall): Promise<Stored[]> {
    const drafts: Placed[] = []
    const making: Promise<void>[] = []
    try {
      for await (const { key, ifAbsent = false, beside = false, ...file } of files) {
        const draft = await writeDraft(disk, newTemporary(), file, call, restoreTemporary)
        if (draft === 'too-large') return [draft]
        drafts.push({ ...draft, target: at(key), ifAbsent, beside })
        // Concurrent with the fsync of the body. A folder that cannot be made here is tried again in `place`.
        if (!beside) making.push(folders.make(dirname(at(key))).catch(() => {}))
      }
      await Promise.all(drafts.map(({ synced }) => synced))
      await place(drafts)
      return drafts.map(({ placed, bytes }) => (placed === 'exists' ? placed : { bytes }))
    } finally {
      // A folder that is made after the caller of a failed call removed everything would stay, empty.
      await Promise.allSettled([...making, ...drafts.map(({ synced }) => synced)])
      for (const { placed, file } of drafts)
        if (placed !== 'renamed') await disk.unlink(file).catch(ignore('ENOENT'))
    }
  }

  /** Renames complete, fsynced files one after the other, and makes their names durable. */
  async function place(drafts: Placed[]): Promise<void> {
    const targets = [...new Set(drafts.map(({ target }) => dirname(target)))]
    for (let tries = 1; ; tries++) {
      try {
        for (const draft of drafts) {
          const { file, target, ifAbsent, beside, placed } = draft
          // The second try makes a folder that another process removed.
          if (!beside || tries > 1) await folders.make(dirname(target))
          if (placed === 'renamed') continue
          draft.placed = ifAbsent
            ? ((await disk.link(file, target).then(() => 'linked' as const, ignore('EEXIST'))) ?? 'exists')
            : await disk.rename(file, target).then(() => 'renamed' as const)
        }
        // Also when the file exists: its writer may have died before this fsync, and the caller relies on the file.
        await Promise.all(targets.map(folders.sync))
        return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === maxTries) throw error
        folders.forget()
      }
    }
  }

  async function* list(prefix: Key, after: Key | undefined, measured: Measure): AsyncIterable<Key> {
    const entries = await measured(() =>
      disk.readdir(at(prefix), { withFileTypes: true }).catch(ignore('ENOENT', 'ENOTDIR')),
    )
    // A folder's name gets a trailing slash, with which it sorts among files as its keys do.
    const names = (entries ?? []).map(entry => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort()
    let failure: unknown
    for (const key of names.map(name => prefix + name)) {
      const isLater = after === undefined || key > after
      if (!key.endsWith('/')) {
        if (isLater) yield key
      } else if (isLater || after.startsWith(key))
        try {
          yield* list(key, after, measured)
        } catch (error) {
          failure ??= error
        }
    }
    // After the others: a folder that cannot be read must not hide those behind it from a sweep.
    if (failure !== undefined) throw failure
  }

  /** Makes a removal durable. If a concurrent delete removed the empty folder, that folder's parent is fsynced. */
  async function syncNearest(folder: string): Promise<void> {
    const synced = await folders.sync(folder).then(() => true, ignore('ENOENT'))
    if (!synced) await syncNearest(dirname(folder))
  }

  /** Removes the folders that a delete left empty. Otherwise one would stay for each session. */
  async function prune(folder: string): Promise<void> {
    folders.forget()
    for (let empty = folder; empty !== root; empty = dirname(empty)) {
      const removed = await disk.rmdir(empty).then(() => true, ignore(...kept))
      if (!removed) return
    }
  }

  const adapter = {
    name: 'fs' as const,
    store,
    list,
    fileOf: at,

    async get(key: Key) {
      const fd = await disk.open(at(key), 'r').catch(ignore('ENOENT', 'ENOTDIR'))
      if (fd === undefined) return 'not-found' as const
      const stat = fstatSync(fd)
      if (stat.isFile()) return { body: createReadStream('', { fd }), bytes: stat.size }
      disk.closeSync(fd)
      return 'not-found' as const
    },

    /** readFile opens, reads and closes a small file in one task of Node's threads, a FileHandle in four. */
    read: async (key: Key) =>
      (await readFile(at(key)).catch(ignore('ENOENT', 'ENOTDIR', 'EISDIR'))) ?? ('not-found' as const),

    async delete(key: Key) {
      const isPrefix = key.endsWith('/')
      if (isPrefix) await makeTemporary()
      // Renamed first, so that it disappears for every reader at once. The next start removes what a kill leaves.
      const trash = newTemporary()
      const gone = await (isPrefix ? disk.rename(at(key), trash) : disk.rm(at(key))).then(
        () => true,
        ignore('ENOENT', 'ENOTDIR', 'ERR_FS_EISDIR'),
      )
      if (!gone) return
      if (isPrefix) await removeTemporary(disk, trash)
      await syncNearest(dirname(at(key)))
      await prune(dirname(at(key)))
    },

    close() {
      closed = true
    },
  }
  return storageOn(adapter, options)
}
