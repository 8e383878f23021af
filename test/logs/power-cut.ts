import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { Durable } from './power-loss.ts'

/**
 * What a power cut leaves below a folder: of each file the bytes that were synced, of each folder the names that were
 * synced with it. `kept`: names that reached the disk by chance, which no order of writes forbids.
 */
export function cutPower(folder: string, record: string, kept: RegExp = /^\b$/): void {
  const durable = existsSync(record)
    ? readFileSync(record, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line): Durable => JSON.parse(line))
    : []
  const bytes = new Map(durable.flatMap(each => (each.kind === 'file' ? [[each.inode, each.bytes]] : [])))
  const names = new Map(durable.flatMap(each => (each.kind === 'folder' ? [[each.path, each.entries]] : [])))
  const cut = (path: string) => {
    const synced = new Map(names.get(path) ?? [])
    for (const name of readdirSync(path)) {
      const file = join(path, name)
      const { ino, size } = statSync(file)
      if (synced.get(name) !== ino && !kept.test(name)) rmSync(file, { recursive: true })
      else if (statSync(file).isDirectory()) cut(file)
      else if (size > (bytes.get(ino) ?? 0)) truncateSync(file, bytes.get(ino) ?? 0)
    }
  }
  cut(folder)
}
