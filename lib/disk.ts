import * as fs from 'node:fs'
import * as promises from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { ExpectedError, orElse } from './errors.ts'

/**
 * The file system calls that durability depends on. A power-cut test replaces them. Calls that may wait for the disk
 * run in libuv's threads, which costs 50 µs a call. `openSync` is for folders, and `closeSync` for files that were
 * fsynced or only read: these two take 2 µs and do not wait. `mkdirSync` and `fsyncSync` are for `makeFolder` alone.
 */
export const realDisk = {
  open: promisify(fs.open),
  openSync: fs.openSync,
  closeSync: fs.closeSync,
  mkdirSync: fs.mkdirSync,
  fsyncSync: fs.fsyncSync,
  fsync: promisify(fs.fsync),
  mkdir: promises.mkdir,
  rename: promises.rename,
  link: promises.link,
  unlink: promises.unlink,
  rm: promises.rm,
  rmdir: promises.rmdir,
  readdir: promises.readdir,
}
export type Disk = typeof realDisk

/** The room of the disk of a folder. `bsize` is the size of a transfer, which is 256 times as large on virtiofs. */
export function roomOn(folder: string): { usedBytes: number; freeBytes: number } {
  const { blocks, bfree, bavail, frsize } = fs.statfsSync(folder)
  return { usedBytes: (blocks - bfree) * frsize, freeBytes: bavail * frsize }
}

const isFolder = (path: string): boolean =>
  fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/**
 * Gives a file that root makes, as under sudo, to the owner of its folder, whose service could not write it otherwise. Where
 * root may not change owners, as on some network shares, the start of that service names the file's owner.
 */
export function giveToOwner(path: string): void {
  if (process.getuid?.() !== 0) return
  orElse(undefined, () => {
    const { uid, gid } = fs.statSync(dirname(path))
    // chown would follow a link that the user put in place of the file, and give away a file of the system.
    if (uid !== 0) fs.lchownSync(path, uid, gid)
  })
}

/** The text of a file. Node's error does not name a folder, such as Docker makes where it finds no file to mount. */
export function readText(file: string): string {
  if (isFolder(file)) throw new ExpectedError(`${file} is a folder, not a file`)
  return fs.readFileSync(file, 'utf8')
}

/** Creates an empty file, unless it is there. */
export function createFile(file: string): void {
  fs.closeSync(fs.openSync(file, 'a'))
  giveToOwner(file)
}

/**
 * `mkdir -p` that survives a power cut. Node's own never returns where the system answers ENOENT, as it does below
 * /proc. It blocks: for a start, and for folders that are seldom made.
 */
export function makeFolder(folder: string, { disk = realDisk, mode = 0o777 } = {}): void {
  const path = resolve(folder)
  if (isFolder(path)) return
  makeFolder(dirname(path), { disk })
  try {
    disk.mkdirSync(path, mode)
    giveToOwner(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    // Another process may have made it, and have died before its fsync.
    if (!isFolder(path)) throw new ExpectedError(`${path} is no folder, or a link to one that is not there`)
  }
  const parent = disk.openSync(dirname(path), 'r')
  try {
    disk.fsyncSync(parent)
  } catch (error) {
    ignore('EINVAL')(error as Error) // see syncFolder
  } finally {
    disk.closeSync(parent)
  }
}

/** Some network shares have no fsync of folders and answer EINVAL. */
export async function syncFolder(folder: string, disk: Disk = realDisk): Promise<void> {
  const file = disk.openSync(folder, 'r')
  await disk
    .fsync(file)
    .catch(ignore('EINVAL'))
    .finally(() => disk.closeSync(file))
}

/** Replaces a small file. A reader gets the old or the new content whole, also after a power cut. */
export function replaceFile(file: string, content: string): void {
  createDraft(`${file}.tmp`)
  fs.writeFileSync(`${file}.tmp`, content, { flush: true })
  fs.renameSync(`${file}.tmp`, file)
}

/** Creates an empty file in place of one that a killed process left, perhaps another user's that this one may not write. */
export function createDraft(file: string): void {
  fs.rmSync(file, { force: true })
  createFile(file)
}

/**
 * Whether the files of an open SQLite database are still at their paths. SQLite goes on writing to removed files, which no
 * other process can read. When only the -wal was removed, a process that starts begins a second one. A file cut to nothing
 * is removed, too: an open one has at least a page.
 */
export function databaseWatch(file: string): { isThere(): boolean } {
  const inodeOf = (path: string) => {
    const stats = fs.statSync(path, { throwIfNoEntry: false })
    return path === file && stats?.size === 0 ? undefined : stats?.ino
  }
  // A recorder that started on a full disk has no -shm.
  const opened = [file, `${file}-wal`, `${file}-shm`].map(path => [path, inodeOf(path)] as const)
  return { isThere: () => opened.every(([path, ino]) => ino === undefined || inodeOf(path) === ino) }
}

/** For `catch`: ignores errors with these codes and rethrows every other. */
export const ignore =
  (...codes: string[]) =>
  (error: NodeJS.ErrnoException): undefined => {
    if (!codes.includes(error.code ?? '')) throw error
  }
