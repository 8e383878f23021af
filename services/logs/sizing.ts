import { closeSync, openSync, readSync, statfsSync, statSync } from 'node:fs'
import { zstdCompressSync } from 'node:zlib'
import { sourceOf } from '@tintype/lib/telemetry/entry.ts'
import type { Count } from './counts.ts'
import { dayFile, indexFile, type Manifest, manifestFile, newestManifests } from './manifest.ts'
import type { SessionSizes } from './statistics.ts'

export type DaySize = Count & {
  day: string
  /** What the day takes on disk: journals, every file of its newest revision. */
  diskBytes: number
  services: Record<string, Count>
  events: Record<string, Count>
  sessions: SessionSizes
}

/** An estimate and the interval of nine tenths; null is "not at this rate". */
export type Estimate = { low: number | null; likely: number | null; high: number | null }

export type Sizing = {
  days: DaySize[]
  /** Whole days before today, which growth is measured on. */
  fullDays: number
  /** Bytes on disk a day: now, and how it changes from day to day. */
  bytesPerDay: number | null
  growthPerDay: Estimate
  freeBytes: number
  daysUntilFull: Estimate
  /** Bytes ÷ bytes as zstd compresses samples of the newest day; null when there is none. */
  compressionRatio: number | null
}

/** Entries and bytes a day, and when the disk is full, from the manifests. `today`: a UTC day that is not whole yet. */
export function sizing(folder: string, today: string): Sizing {
  const manifests = newestManifests(folder)
  const days = manifests.map(manifest => daySize(folder, manifest))
  const whole = days.filter(({ day }) => day < today)
  const freeBytes = days.length > 0 ? free(folder) : 0
  const forecasted = forecast(
    whole.map(({ diskBytes }) => diskBytes),
    freeBytes,
  )
  const newest = manifests.at(-1)
  return {
    days,
    fullDays: whole.length,
    ...forecasted,
    freeBytes,
    compressionRatio: newest ? compressionRatio(dayFile(folder, newest)) : null,
  }
}

function daySize(folder: string, manifest: Manifest): DaySize {
  const services: Record<string, Count> = {}
  let diskBytes = 0
  for (const { stream, entries, bytes, journalBytes } of manifest.streams) {
    const [service = stream] = sourceOf(stream).split('.')
    const known = services[service] ?? { entries: 0, bytes: 0 }
    services[service] = { entries: known.entries + entries, bytes: known.bytes + bytes }
    diskBytes += journalBytes
  }
  for (const file of [dayFile, indexFile, manifestFile]) diskBytes += statSync(file(folder, manifest)).size
  const { day, entries, bytes, events, sessions } = manifest
  return { day, entries, bytes, diskBytes, services, events, sessions }
}

/** The median of the slopes between all pairs of days (Theil-Sen: one odd day does not bend it), with its spread. */
export function forecast(
  bytes: number[],
  freeBytes: number,
): { bytesPerDay: number | null; growthPerDay: Estimate; daysUntilFull: Estimate } {
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

function free(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

const samples = 16
const sampleBytes = 2 ** 18

function compressionRatio(file: string): number | null {
  const { size } = statSync(file)
  const fd = openSync(file, 'r')
  try {
    let plain = 0
    let packed = 0
    for (let i = 0; i < samples; i++) {
      const bytes = Buffer.alloc(sampleBytes)
      const read = readSync(fd, bytes, 0, sampleBytes, Math.floor((size * i) / samples))
      plain += read
      packed += zstdCompressSync(bytes.subarray(0, read)).length
    }
    return plain > 0 ? plain / packed : null
  } finally {
    closeSync(fd)
  }
}
