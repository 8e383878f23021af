import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, replaceFile } from '@tintype/lib/disk.ts'
import { orElse } from '@tintype/lib/errors.ts'
import { readJsonFile } from '@tintype/lib/json.ts'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Minute } from '../sources/index.ts'
import { toMinute } from './time.ts'

/** A planned maintenance in the minutes [from, to). Its offline minutes use the budget like others. */
export type Planned = { id: string; from: Minute; to: Minute; reason: string }

/** A longer maintenance is probably a typing error. */
export const maxPlannedMinutes = 1440

/** Whether a maintenance would have ended before a time: another time was meant. */
export const isOver = ({ from, to }: Pick<Planned, 'from' | 'to'>, nowMs: number): boolean =>
  to > from && to <= toMinute(nowMs)

const folderOf = (dataDir: string): string => join(dataDir, 'slo', 'planned')

/** All planned downtime, earliest first. Each has a separate file, so that two concurrent writers lose none. */
export function readPlanned(dataDir: string): Planned[] {
  const folder = folderOf(dataDir)
  return (existsSync(folder) ? readdirSync(folder) : [])
    .flatMap(name => {
      const [, id, from, to] = /^((\d+)-(\d+))\.json$/.exec(name) ?? []
      const reason = readJsonFile<Planned>(join(folder, name), { reason: '' })?.reason ?? ''
      return id ? [{ id, from: Number(from), to: Number(to), reason }] : []
    })
    .sort((one, other) => one.from - other.from)
}

/** The same for pages and alerts, which must also work while the folder cannot be read. */
export const readablePlanned = (dataDir: string): Planned[] => orElse([], () => readPlanned(dataDir))

/** Adds a downtime, or changes its reason. When there are too many, the oldest is removed. */
export function addPlanned(dataDir: string, { from, to, reason }: Omit<Planned, 'id'>): Planned {
  const kept = readPlanned(dataDir)
  for (const { id } of kept.slice(0, Math.max(0, kept.length - limits.plannedDowntimes.value + 1))) {
    countLimit('plannedDowntimes')
    removePlanned(dataDir, id)
  }
  const planned = { id: `${from}-${to}`, from, to, reason }
  makeFolder(folderOf(dataDir))
  replaceFile(join(folderOf(dataDir), `${planned.id}.json`), JSON.stringify(planned))
  return planned
}

export const removePlanned = (dataDir: string, id: Planned['id']): void =>
  rmSync(join(folderOf(dataDir), `${id}.json`), { force: true })
