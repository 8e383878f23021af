import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { roomOn } from '@tintype/lib/disk.ts'

/**
 * Room on the disk of DATA_DIR, held by a file, for a start while the disk is full: SQLite's shared memory, the files
 * with the addresses, and the first deletions of photos. Without it nobody could delete anything after a restart.
 */
const reserveBytes = 8 * 2 ** 20

const fileIn = (dataDir: string): string => join(dataDir, 'reserve')

/** Gives the room to a start that needs it. */
export function freeReserve(dataDir: string): void {
  if (roomOn(dataDir).freeBytes < reserveBytes) rmSync(fileIn(dataDir), { force: true })
}

/**
 * Takes the room if there is plenty. Random bytes, because a hole in a file, or zeros on a disk that compresses (ZFS,
 * Btrfs), hold nothing. They are written at each start, because an earlier one may have left zeros or, on a full disk, a part of them.
 */
export function keepReserve(dataDir: string): void {
  try {
    if (roomOn(dataDir).freeBytes > 2 * reserveBytes)
      writeFileSync(fileIn(dataDir), randomBytes(reserveBytes))
  } catch {
    // The disk is full after all, or the file is root's, as after sudo npm start.
  }
}
