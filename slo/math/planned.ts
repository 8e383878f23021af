import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Minute } from '../sources/index.ts'

/** A maintenance announced beforehand: the minutes [from, to). It is inside the budget; it only says what they were for. */
export type Planned = { id: string; from: Minute; to: Minute; reason: string }

/** A day of maintenance is no maintenance but a slip of the finger. */
export const maxPlannedMinutes = 1440

const folderOf = (dataDir: string): string => join(dataDir, 'slo', 'planned')

/** All planned downtime, earliest first. One file each, so that nobody's entry is lost to another's. */
export function readPlanned(dataDir: string): Planned[] {
  const folder = folderOf(dataDir)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter(name => name.endsWith('.json'))
    .map(name => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Planned)
    .sort((one, other) => one.from - other.from)
}

/** Enters a downtime; the same minutes again replace its reason. @throws RangeError when the minutes make no sense. */
export function addPlanned(dataDir: string, { from, to, reason }: Omit<Planned, 'id'>): Planned {
  if (!Number.isInteger(from) || !Number.isInteger(to) || to <= from || to - from > maxPlannedMinutes)
    throw new RangeError(`planned downtime is 1 to ${maxPlannedMinutes} whole minutes, not ${to - from}`)
  const planned = { id: `${from}-${to}`, from, to, reason }
  const file = join(folderOf(dataDir), `${planned.id}.json`)
  mkdirSync(folderOf(dataDir), { recursive: true })
  writeFileSync(`${file}.tmp`, JSON.stringify(planned), { flush: true })
  renameSync(`${file}.tmp`, file)
  return planned
}

/** Takes one back; what is not there is no error. */
export const removePlanned = (dataDir: string, id: string): void => {
  if (/^\d+-\d+$/.test(id)) rmSync(join(folderOf(dataDir), `${id}.json`), { force: true })
}
