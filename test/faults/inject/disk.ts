import { execFile, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { ownerOf, ownerPrefix } from '@tintype/lib/photo/record.ts'
import { person } from '../../client.ts'
import type { Lab } from '../drill.ts'
import { repeat } from './processes.ts'

/** Mounts a separate file system in memory at a folder. Root only. */
export function mountDisk(lab: Lab, folder: string, bytes: number): string {
  mkdirSync(folder, { recursive: true })
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder])
  if (status !== 0) throw new Error(`mount: ${stderr}`)
  lab.onEnd(() => spawnSync('umount', ['-l', folder]))
  return folder
}

/** Writes until the disk is full. */
export function fill(folder: string): void {
  const file = openSync(join(folder, 'another-owner'), 'w')
  try {
    for (const chunk = Buffer.alloc(2 ** 20); ; ) writeSync(file, chunk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}

/** More photos than a person has: those of a program that uploads without end. */
const crowdPhotos = 1_000_000

/** A folder of the disk with names of photos as after uploads without end; `ownCrowd` makes it the folder of one session. */
export async function crowdedFolder(disk: string): Promise<string> {
  const folder = join(disk, 'crowded')
  mkdirSync(folder)
  const names = `seq -f %025.0f ${crowdPhotos} | xargs touch`
  await promisify(execFile)('sh', ['-c', names], { cwd: folder })
  return folder
}

/** Makes a session the owner of this folder, and requests its list each second. */
export async function ownCrowd(lab: Lab, storage: string, folder: string, address: string): Promise<void> {
  const owner = person(address)
  await owner.request('/photos')
  const [, session = ''] = /^tintype_session=([0-9a-f]+)/.exec(owner.cookie ?? '') ?? []
  const target = join(storage, ownerPrefix(ownerOf(session)))
  mkdirSync(dirname(target), { recursive: true })
  renameSync(folder, target)
  repeat(lab, 1_000, () => void owner.request('/photos').catch(() => {}))
}
