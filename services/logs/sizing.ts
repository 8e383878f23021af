import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { dayMs, dayOf, oldestMs } from '@tintype/lib/day.ts'
import { replaceFile, roomOn } from '@tintype/lib/disk.ts'
import { readJsonFile } from '@tintype/lib/json.ts'
import { limits } from '@tintype/lib/limits.ts'
import { newline } from '@tintype/lib/telemetry/entry.ts'
import { dayFile, indexFile, type Manifest, manifestFile, newestManifests } from './daily.ts'
import { type Folders, readAt, streamFiles } from './files.ts'
import { type Estimate, timeOf } from './page/api.ts'
import { entryOf } from './search.ts'

export type Sizing = ReturnType<typeof sizing>
/** Ages in days at which logs and replaced revisions are removed; 0: never. */
export type Keep = { logsDays: number; revisionsDays: number }
/** What `GET /sizing.json` answers. */
export type SizingAnswer = Sizing & { keep: Keep }

/**
 * Entries and bytes a day from the manifests, and when the disk will be full. `today`: a UTC day that is not over.
 * `keepDays`: the age at which logs are removed; 0: never. `counted`: the whole disk with its photos, or the logs alone while
 * the disk was not measured. `hours`: how many a forecast extrapolates from; null when it is of whole days.
 */
export function sizing({ days: folder, samples, photos, streams }: Folders, today: string, keepDays: number) {
  const days = newestManifests(folder).map(manifest => daySize(folder, manifest))
  // The first day began when the service was installed: as a whole day it would make the next one look like growth.
  const [, ...logs] = days.filter(({ day }) => day < today).map(({ diskBytes }) => diskBytes)
  const looks = looksIn(samples)
  const ofDays = ratesOf(lastOfDays(looks.filter(({ atMs }) => dayOf(atMs) < today)))
  const lately = looks.filter(({ atMs }) => atMs > (looks.at(-1)?.atMs ?? 0) - dayMs)
  const hours = Math.floor(((lately.at(-1)?.atMs ?? 0) - (lately[0]?.atMs ?? 0)) / hourMs)
  // Until a complete day is known, each sixth of the last hours counts.
  const isOfHours = ofDays.length === 0 && hours > 0
  const ofDisk = isOfHours ? ratesOf(inSixths(lately)) : ofDays
  const [disk, logDisk] = [roomOf(photos), roomOf(streams)]
  const byLogs = { counted: 'logs' as const, hours: null, ...forecast(logs, logDisk.freeBytes, { keepDays }) }
  const byDisk = { counted: 'disk' as const, ...forecast(ofDisk, disk.freeBytes, { isOfHours }) }
  const byAll = ofDisk.length > 0 ? { ...byDisk, hours: isOfHours ? hours : null } : byLogs
  // The photos may have a disk of their own. Then the disk that is full first counts.
  const isLogs = logDisk.device !== disk.device && fullIn(byLogs) < fullIn(byAll)
  return { days, today: sizeSoFar(streams, today), ...(isLogs ? byLogs : byAll) }
}

const fullIn = ({ daysUntilFull: { likely } }: { daysUntilFull: Estimate }): number => likely ?? horizonDays

const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0)
const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

/** Groups streams by service and applies `size` to each group. */
function byService<P extends { stream: string }, S>(parts: P[], size: (parts: P[]) => S): Record<string, S> {
  const groups = Map.groupBy(parts, ({ stream }) => stream.slice(0, stream.indexOf('.')))
  return Object.fromEntries([...groups].map(([service, its]) => [service, size(its)]))
}

function daySize(folder: string, manifest: Manifest) {
  const { day, entries, bytes, sessions, streams } = manifest
  const files = [dayFile, indexFile, manifestFile].map(file => sizeOf(file(folder, manifest)))
  const diskBytes = sum([...files, ...streams.map(({ journalBytes }) => journalBytes)])
  const services = byService(streams, parts => ({
    entries: sum(parts.map(part => part.entries)),
    bytes: sum(parts.map(part => part.bytes)),
  }))
  return { day, entries, bytes, diskBytes, services, sessions }
}

/** Size of the journals of a day that is not over. Their entries are not counted. */
function sizeSoFar(streams: string, day: string) {
  const parts = streamFiles(join(streams, day))
    .map(({ stream, file }) => ({ stream, bytes: sizeOf(file), fromMs: firstTimeIn(file) }))
    .filter(({ fromMs }) => !Number.isNaN(fromMs))
  if (parts.length === 0) return null
  const services = byService(parts, its => ({ bytes: sum(its.map(({ bytes }) => bytes)) }))
  const fromMs = Math.min(...parts.map(part => part.fromMs))
  return { day, bytes: sum(parts.map(({ bytes }) => bytes)), services, fromMs }
}

/** A read of so many bytes has the whole first line of a file: an entry's payload has at most half of them. */
const firstLineBytes = 2 * limits.logPayload.value

/** Time of a file's first entry, epoch ms; NaN when it has none, or cannot be read. */
function firstTimeIn(file: string): number {
  const start = readAt(file, 0, firstLineBytes)
  const entry = entryOf(start.subarray(0, start.indexOf(newline)))
  return entry ? timeOf(entry) : NaN
}

const unknown: Estimate = { low: null, likely: null, high: null }

/**
 * A forecast from the bytes of each day. The growth is the median of the slopes between all pairs of days (Theil-Sen,
 * which one odd day does not change), with its spread. `isOfHours`: the rates are of parts of a day; their mean
 * continues, and the growth is unknown. `keepDays`: the age in days at which the bytes of a day are removed; 0: never.
 */
export function forecast(rates: number[], freeBytes: number, { isOfHours = false, keepDays = 0 } = {}) {
  const last = rates.length - 1
  if (last < 0) return { bytesPerDay: null, growthPerDay: unknown, daysUntilFull: unknown, freeBytes }
  const slopes = rates.flatMap((later, j) =>
    rates.slice(0, isOfHours ? 0 : j).map((earlier, i) => (later - earlier) / (j - i)),
  )
  const growth = { low: quantile(slopes, 0.05), likely: quantile(slopes, 0.5), high: quantile(slopes, 0.95) }
  const levels = rates.map((value, i) => value + growth.likely * (last - i))
  const level = isOfHours ? sum(rates) / rates.length : quantile(levels, 0.5)
  const full = (daily: number, slope: number): number | null => {
    const held = [...rates]
    let used = 0
    for (let day = 1; day <= horizonDays; day++) {
      const bytes = Math.max(0, daily + slope * day)
      held.push(bytes)
      used += bytes
      // Beside the days that are over for less than `keepDays` there is always one that is not over.
      while (keepDays > 0 && held.length > keepDays + 1) used -= held.shift() ?? 0
      if (used >= freeBytes) return day
    }
    return null
  }
  return {
    bytesPerDay: level,
    growthPerDay: isOfHours ? unknown : growth,
    daysUntilFull: {
      low: full(Math.max(level, ...rates), growth.high),
      likely: full(level, growth.likely),
      high: full(Math.min(level, ...rates), growth.low),
    },
    freeBytes,
  }
}

/** A quantile of values; 0 without values, so that a single day shows no growth. */
function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const [below, above] = [sorted[Math.floor(at)] ?? 0, sorted[Math.ceil(at)] ?? 0]
  return below + (above - below) * (at - Math.floor(at))
}

const horizonDays = 3_650

/** A measurement of the bytes in use on the disk. */
type Look = { atMs: number; bytes: number }
const lookEveryMs = 600_000
const hourMs = 3_600_000
/** How many days a forecast looks back. */
const maxSampledDays = 90

/** The recorded measurements, oldest first; none when the file is damaged. */
const looksIn = (file: string): Look[] =>
  Object.entries(readJsonFile<Record<string, number>>(file, {}) ?? {})
    .map(([at, bytes]) => ({ atMs: Date.parse(at), bytes }))
    .filter(({ atMs, bytes }) => atMs >= oldestMs && Number.isFinite(bytes))

/** Records the used disk space. Of the last day all measurements are kept, of each day before the last one. */
export async function sampleDisk({ samples: file, photos }: Folders, nowMs: number): Promise<void> {
  // A clock at 1970 would make all earlier measurements look as if a clock was ahead, and they would be removed.
  if (nowMs < oldestMs) return
  const looks = looksIn(file).filter(({ atMs }) => atMs < nowMs)
  if (nowMs - (looks.at(-1)?.atMs ?? 0) < lookEveryMs) return
  const last = new Set(lastOfDays(looks))
  const isKept = (look: Look) => nowMs - look.atMs < (last.has(look) ? maxSampledDays : 1) * dayMs
  const kept = [...looks.filter(isKept), { atMs: nowMs, bytes: roomOf(photos).usedBytes }]
  const byTime = Object.fromEntries(kept.map(({ atMs, bytes }) => [new Date(atMs).toISOString(), bytes]))
  replaceFile(file, JSON.stringify(byTime))
}

const lastOfDays = (looks: Look[]): Look[] => [
  ...new Map(looks.map(look => [dayOf(look.atMs), look])).values(),
]

/** Measurements that divide the time into six parts, or fewer. */
function inSixths(looks: Look[]): Look[] {
  const partOf = (i: number) => Math.floor((i * 6) / (looks.length - 1))
  return looks.filter((_, i) => partOf(i) > partOf(i - 1))
}

/** Growth of the used space between consecutive measurements, in bytes a day. */
const ratesOf = (looks: Look[]): number[] =>
  looks.slice(1).map(({ atMs, bytes }, i) => {
    const before = looks[i] as Look
    const days = (atMs - before.atMs) / dayMs
    return (bytes - before.bytes) / days
  })

/** Space of the disk that a folder is on, or will be on: web makes the folder of the photos at its first start. */
function roomOf(folder: string): { usedBytes: number; freeBytes: number; device: number } {
  if (!existsSync(folder)) return roomOf(dirname(folder))
  return { ...roomOn(folder), device: statSync(folder).dev }
}
