import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { newPhotoId, ownerOf, ownerPrefix } from '@tintype/lib/photo.ts'
import { person } from '../../client.ts'
import type { Lab } from '../drill.ts'
import { repeat } from './processes.ts'

/** A file system of its own in memory, at a folder. Root only. */
export function mountDisk(lab: Lab, folder: string, bytes: number): string {
  mkdirSync(folder, { recursive: true })
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder])
  if (status !== 0) throw new Error(`mount: ${stderr}`)
  lab.onEnd(() => spawnSync('umount', ['-l', folder]))
  return folder
}

/** Writes until nothing fits any more. */
export function fill(folder: string): void {
  const file = openSync(join(folder, 'somebody-elses'), 'w')
  try {
    for (const chunk = Buffer.alloc(2 ** 20); ; ) writeSync(file, chunk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}

/** Nobody has so many photos; a program that uploads without end has. */
const crowdPhotos = 200_000

/** A folder of photos that were uploaded without end, to be given to somebody later. */
export function crowdedFolder({ dataDir }: Lab): string {
  const folder = join(dataDir, 'crowded')
  mkdirSync(folder, { recursive: true })
  for (let i = 0; i < crowdPhotos; i++) mkdirSync(join(folder, newPhotoId(Date.now())))
  return folder
}

/** Somebody owns the folder from now on, and looks at their photos each second. */
export async function ownCrowd(lab: Lab, folder: string, address: string): Promise<void> {
  const owner = person(address)
  await owner.request('/photos')
  const [, session = ''] = /^session=([0-9a-f]+)/.exec(owner.cookie ?? '') ?? []
  const target = join(lab.dataDir, 'storage', ownerPrefix(ownerOf(session)))
  mkdirSync(dirname(target), { recursive: true })
  renameSync(folder, target)
  repeat(lab, 1_000, () => void owner.request('/photos').catch(() => {}))
}
