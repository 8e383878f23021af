import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Block } from './lookup.ts'
import type { Statistics } from './statistics.ts'

/** Sequence numbers, both included. */
export type Range = [first: number, last: number]

export type StreamPart = {
  stream: string
  first: number
  last: number
  entries: number
  bytes: number
  /** Between first and last. */
  missing: Range[]
  /** How far the stream's journal was read: what comes later is in the next revision. */
  journalBytes: number
  /** Lines of the journal that are no entries. */
  unreadable: number
}

/** What a published revision holds: its `.manifest.json`, which is written last. Without it there is no revision. */
export type Manifest = Statistics & {
  day: string
  revision: number
  entries: number
  bytes: number
  sha256: string
  /** Effective times of the first and last entry. */
  from: string
  to: string
  /** Entries whose effective time is not their timestamp. */
  corrected: number
  streams: StreamPart[]
  index: Block[]
}

const fileName = ({ day, revision }: { day: string; revision: number }, kind: string): string =>
  `${day}.r${revision}.${kind}`

export const dayFile = (folder: string, of: { day: string; revision: number }): string =>
  join(folder, fileName(of, 'ndjson'))
export const indexFile = (folder: string, of: { day: string; revision: number }): string =>
  join(folder, fileName(of, 'index'))
export const manifestFile = (folder: string, of: { day: string; revision: number }): string =>
  join(folder, fileName(of, 'manifest.json'))

/** The newest revision of each published day, oldest day first. */
export const newestManifests = (folder: string): Manifest[] =>
  [...newestRevisions(folder)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([day, revision]) => read(folder, { day, revision }))

export function newestManifest(folder: string, day: string): Manifest | undefined {
  const revision = newestRevisions(folder).get(day)
  return revision === undefined ? undefined : read(folder, { day, revision })
}

export function newestRevisions(folder: string): Map<string, number> {
  const newest = new Map<string, number>()
  for (const name of list(folder)) {
    const [, day, revision] = /^(\d{4}-\d\d-\d\d)\.r(\d+)\.manifest\.json$/.exec(name) ?? []
    if (day) newest.set(day, Math.max(newest.get(day) ?? 0, Number(revision)))
  }
  return newest
}

const read = (folder: string, of: { day: string; revision: number }): Manifest =>
  JSON.parse(readFileSync(manifestFile(folder, of), 'utf8'))

export const isDay = (name: string): boolean => /^\d{4}-\d\d-\d\d$/.test(name)

/** Names in a folder; none when it is not there. */
export function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
