import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import type { Folders } from './daily.ts'
import { readAt } from './files.ts'
import { dayFile, indexFile, type Manifest, manifestFile, newestManifests } from './manifest.ts'
import { streamFiles } from './merge.ts'
import type { Count, DaySize, Sizing } from './page/api.ts'
import { dayMs, dayOf } from './stamp.ts'

/** Entries and bytes a day from the manifests, and when the disk is full. `today`: a UTC day that is not whole yet. */
export function sizing({ days: folder, samples, photos, streams }: Folders, today: string): Sizing {
  const manifests = newestManifests(folder)
  const days = manifests.map(manifest => daySize(folder, manifest))
  const logs = days.filter(({ day }) => day < today).map(({ diskBytes }) => diskBytes)
  const all = grownBy(readSamples(samples), today)
  const recent = all.length > 0 ? undefined : recentGrowth(readSamples(recentFile(samples)))
  const grown = all.length > 0 ? all : logs
  const { freeBytes } = roomOf(photos, streams, folder)
  const newest = manifests.at(-1)
  return {
    days,
    today: sizeSoFar(streams, today),
    fullDays: grown.length,
    counted: recent || grown === all ? 'disk' : 'logs',
    hours: recent?.hours ?? null,
    ...(recent ? extrapolate(recent.daily, freeBytes) : forecast(grown, freeBytes)),
    freeBytes,
    compressionRatio: newest ? compressionRatio(dayFile(folder, newest)) : null,
  }
}

const serviceOf = (stream: string): string => stream.slice(0, stream.indexOf('.'))

function daySize(folder: string, manifest: Manifest): DaySize {
  const services: Record<string, Count> = {}
  let diskBytes = 0
  for (const { stream, entries, bytes, journalBytes } of manifest.streams) {
    const known = services[serviceOf(stream)] ?? { entries: 0, bytes: 0 }
    services[serviceOf(stream)] = { entries: known.entries + entries, bytes: known.bytes + bytes }
    diskBytes += journalBytes
  }
  for (const file of [dayFile, indexFile, manifestFile]) diskBytes += statSync(file(folder, manifest)).size
  const { day, entries, bytes, events, sessions } = manifest
  return { day, entries, bytes, diskBytes, services, events, sessions }
}

/** The journals of a day that is not over: their bytes are known, their entries are not counted. */
function sizeSoFar(streams: string, day: string): Sizing['today'] {
  const services: Record<string, { bytes: number }> = {}
  const found = { day, bytes: 0, services, fromMs: Number.POSITIVE_INFINITY }
  for (const { stream, file } of streamFiles(join(streams, day))) {
    const { size } = statSync(file)
    const firstMs = firstTimeIn(file)
    if (Number.isNaN(firstMs)) continue
    services[serviceOf(stream)] = { bytes: (services[serviceOf(stream)]?.bytes ?? 0) + size }
    found.bytes += size
    found.fromMs = Math.min(found.fromMs, firstMs)
  }
  return found.bytes === 0 ? null : found
}

/** Longer than the members of an entry that stand before its payload. */
const headBytes = 512

/** Epoch milliseconds; NaN when the file has no entry. */
const firstTimeIn = (file: string): number =>
  Date.parse(/"timestamp":"([^"]+)"/.exec(readAt(file, 0, headBytes).toString('latin1'))?.[1] ?? '')

type Forecast = Pick<Sizing, 'bytesPerDay' | 'growthPerDay' | 'daysUntilFull'>

/** The median of the slopes between all pairs of days (Theil-Sen: one odd day does not bend it), with its spread. */
export function forecast(bytes: number[], freeBytes: number): Forecast {
  const nothing = { low: null, likely: null, high: null }
  const last = bytes.length - 1
  if (last < 0) return { bytesPerDay: null, growthPerDay: nothing, daysUntilFull: nothing }
  const slopes = bytes.flatMap((later, j) =>
    bytes.slice(0, j).map((earlier, i) => (later - earlier) / (j - i)),
  )
  const growth = (share: number) => quantile(slopes, share)
  const level = quantile(
    bytes.map((value, i) => value + growth(0.5) * (last - i)),
    0.5,
  )
  const until = (slope: number, daily: number) => daysToFill(freeBytes, daily, slope)
  return {
    bytesPerDay: level,
    growthPerDay: { low: growth(0.05), likely: growth(0.5), high: growth(0.95) },
    daysUntilFull: {
      low: until(growth(0.95), Math.max(level, ...bytes)),
      likely: until(growth(0.5), level),
      high: until(growth(0.05), Math.min(level, ...bytes)),
    },
  }
}

/** Without a whole day: the growth since the first look goes on, at least as in the slowest part and at most as in the fastest. */
function extrapolate(daily: readonly number[], freeBytes: number): Forecast {
  const mean = daily.reduce((sum, each) => sum + each, 0) / daily.length
  const until = (each: number) => daysToFill(freeBytes, each, 0)
  return {
    bytesPerDay: mean,
    growthPerDay: { low: null, likely: null, high: null },
    daysUntilFull: { low: until(Math.max(...daily)), likely: until(mean), high: until(Math.min(...daily)) },
  }
}

/** 0 of nothing: with one day there is no growth to be seen. */
function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const [below, above] = [sorted[Math.floor(at)] ?? 0, sorted[Math.ceil(at)] ?? 0]
  return below + (above - below) * (at - Math.floor(at))
}

/** Further away is no forecast. */
const horizonDays = 3_650

function daysToFill(freeBytes: number, daily: number, slope: number): number | null {
  let used = 0
  for (let day = 1; day <= horizonDays; day++) {
    used += Math.max(0, daily + slope * day)
    if (used >= freeBytes) return day
  }
  return null
}

/** Bytes in use on the disk at the last look of each day, oldest first. */
type Samples = Record<string, number>
/** What a forecast looks back on. */
const maxSampledDays = 90

const readSamples = (file: string): Samples =>
  existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}

/** Looks of the last day, by their time in epoch milliseconds: for the forecast before a whole day is known. */
const recentFile = (samples: string): string => `${samples}.recent`
const recentEveryMs = 600_000
const leastRecentMs = 3_600_000

/** Records how full the disk is now. */
export async function sampleDisk({ samples: file, photos, streams }: Folders, nowMs: number): Promise<void> {
  const { usedBytes } = roomOf(photos, streams)
  await writeSamples(file, { ...readSamples(file), [dayOf(nowMs)]: usedBytes }, maxSampledDays)
  const recent = Object.entries(readSamples(recentFile(file))).filter(([at]) => Number(at) < nowMs)
  if (nowMs - Number(recent.at(-1)?.[0] ?? 0) < recentEveryMs) return
  const all = { ...Object.fromEntries(recent), [nowMs]: usedBytes }
  await writeSamples(recentFile(file), all, dayMs / recentEveryMs)
}

async function writeSamples(file: string, samples: Samples, most: number): Promise<void> {
  const newest = Object.entries(samples).sort().slice(-most)
  await writeFile(`${file}.draft`, JSON.stringify(Object.fromEntries(newest)), { flush: true })
  await rename(`${file}.draft`, file)
}

/** Bytes a day in each sixth of the time that was looked at; undefined before that is an hour. */
function recentGrowth(samples: Samples): { hours: number; daily: number[] } | undefined {
  const looks = Object.entries(samples).map(([at, bytes]) => ({ at: Number(at), bytes }))
  const [first, last] = [looks[0], looks.at(-1)]
  if (!first || !last || last.at - first.at < leastRecentMs) return undefined
  const marks = [0, 1, 2, 3, 4, 5, 6].map(part => Math.round((part * (looks.length - 1)) / 6))
  const points = [...new Set(marks)].map(index => looks[index] ?? last)
  const daily = points.slice(1).map(({ at, bytes }, i) => {
    const before = points[i] ?? first
    return ((bytes - before.bytes) / (at - before.at)) * dayMs
  })
  return { hours: Math.floor((last.at - first.at) / leastRecentMs), daily }
}

/** By how much each whole day filled the disk, of the days whose day before is known too. */
const grownBy = (samples: Samples, today: string): number[] =>
  Object.entries(samples).flatMap(([day, bytes]) => {
    const before = samples[dayOf(Date.parse(day) - dayMs)]
    return before === undefined || day >= today ? [] : [bytes - before]
  })

/** Of the disk that the first of these folders is on that there is. */
function roomOf(...folders: string[]): { usedBytes: number; freeBytes: number } {
  const folder = folders.find(each => existsSync(each))
  if (folder === undefined) return { usedBytes: 0, freeBytes: 0 }
  const { blocks, bfree, bavail, bsize } = statfsSync(folder)
  return { usedBytes: (blocks - bfree) * bsize, freeBytes: bavail * bsize }
}

const samples = 16
const sampleBytes = 2 ** 18

function compressionRatio(file: string): number | null {
  const { size } = statSync(file)
  const parts = Array.from({ length: samples }, (_, i) =>
    readAt(file, Math.floor((size * i) / samples), sampleBytes),
  )
  const sum = (all: Buffer[]) => all.reduce((bytes, each) => bytes + each.length, 0)
  return size > 0 ? sum(parts) / sum(parts.map(part => zstdCompressSync(part))) : null
}
