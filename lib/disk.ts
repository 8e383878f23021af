import * as fs from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** The file system calls that durability depends on. A power-cut test replaces them. */
export type Disk = Pick<typeof fs, 'open' | 'mkdir' | 'rename' | 'link' | 'rm' | 'rmdir' | 'readdir'>

/** `mkdir -p` that survives a power cut. */
export async function makeFolder(folder: string, disk: Disk = fs): Promise<void> {
  const first = await disk.mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let made = resolve(folder); ; made = dirname(made)) {
    await syncFolder(dirname(made), disk)
    if (made === resolve(first)) return
  }
}

export async function syncFolder(folder: string, disk: Disk = fs): Promise<void> {
  const handle = await disk.open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** For `catch`: ignores errors with these codes and rethrows every other. */
export const ignore =
  (...codes: string[]) =>
  (error: NodeJS.ErrnoException): undefined => {
    if (!codes.includes(error.code ?? '')) throw error
  }
