import * as fs from 'node:fs'
import * as promises from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'

/**
 * The file system calls that durability depends on. A power-cut test replaces them. Calls that may wait for the disk
 * run in libuv's threads, which costs 50 µs a call. `openSync` is for folders, and `closeSync` for files that were
 * fsynced or only read: these two take 2 µs and do not wait.
 */
export const realDisk = {
  open: promisify(fs.open),
  openSync: fs.openSync,
  closeSync: fs.closeSync,
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

/** `mkdir -p` that survives a power cut. */
export async function makeFolder(folder: string, disk: Disk = realDisk): Promise<void> {
  const first = await disk.mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let made = resolve(folder); ; made = dirname(made)) {
    await syncFolder(dirname(made), disk)
    if (made === resolve(first)) return
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

/** For `catch`: ignores errors with these codes and rethrows every other. */
export const ignore =
  (...codes: string[]) =>
  (error: NodeJS.ErrnoException): undefined => {
    if (!codes.includes(error.code ?? '')) throw error
  }
