import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Minute } from '../sources/index.ts'

/** A maintenance announced beforehand: the minutes [from, to). It is inside the budget; it only says what they were for. */
export type Planned = { id: string; from: Minute; to: Minute; reason: string }

/** A day of maintenance is no maintenance but a slip of the finger. */
export const maxPlannedMinutes = 1440

const folderOf = (dataDir: string): string => join(dataDir, 'slo', 'planned')

/** What was read of a folder, until something in it changes: the public pages show it at each request. */
const read = new Map<string, { mtimeMs: number; planned: Planned[] }>()
/** File systems tell two changes within some milliseconds by one time. */
const settledMs = 1_000

/** All planned downtime, earliest first. One file each, so that two processes that enter one lose none. */
export function readPlanned(dataDir: string): Planned[] {
  const folder = folderOf(dataDir)
  const mtimeMs = statSync(folder, { throwIfNoEntry: false })?.mtimeMs
  if (mtimeMs === undefined) return []
  const known = read.get(folder)
  if (known?.mtimeMs === mtimeMs) return known.planned
  const planned = readdirSync(folder)
    .filter(name => name.endsWith('.json'))
    .map(name => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Planned)
    .sort((one, other) => one.from - other.from)
  if (Math.abs(Date.now() - mtimeMs) > settledMs) read.set(folder, { mtimeMs, planned })
  return planned
}

/**
 * Enters a downtime; the same minutes again replace its reason. Where there are too many, the oldest one is removed.
 * @throws RangeError when the minutes make no sense.
 */
export function addPlanned(dataDir: string, { from, to, reason }: Omit<Planned, 'id'>): Planned {
  if (!Number.isInteger(from) || !Number.isInteger(to) || to <= from || to - from > maxPlannedMinutes)
    throw new RangeError(`planned downtime is 1 to ${maxPlannedMinutes} whole minutes, not ${to - from}`)
  const kept = readPlanned(dataDir)
  for (const { id } of kept.slice(0, Math.max(0, kept.length - limits.plannedDowntimes.value + 1))) {
    countLimit('plannedDowntimes')
    removePlanned(dataDir, id)
  }
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
