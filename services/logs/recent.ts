import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { newline } from '@tintype/lib/telemetry/entry.ts'
import type { Folders } from './daily.ts'
import { isDay, list } from './manifest.ts'
import { streamFiles } from './merge.ts'
import type { Entry, PhotoOfRecent, Recent } from './page/api.ts'
import { timeOf } from './timeline.ts'

/** Of each stream's newest file: some thousand entries. What is older is found by its key. */
const tailBytes = 2 ** 19
/** The streams written to last; a process begins a stream each time it starts. */
const maxStreams = 48
const maxSessions = 12
const maxOfKind = 5

/** The newest sessions of people, and what of the newest entries is unusual: for who has no key to search for. */
export function recent({ streams }: Folders): Recent {
  const tails = newestFiles(streams).map(tailOf)
  // Before that, some streams were not read any more, and counts would be wrong.
  const fromMs = Math.max(0, ...tails.map(({ cutAtMs }) => cutAtMs))
  const entries = tails
    .flatMap(tail => tail.entries)
    .filter(entry => msOf(entry) >= fromMs)
    .sort((a, b) => msOf(a) - msOf(b))
  const probes = new Set(entries.flatMap(({ payload, session }) => (payload.probe === true ? session : [])))
  const people = entries.filter(({ session }) => session !== null && !probes.has(session))
  const photos = photosOf(people)
  const newest = [...photos.values()].reverse()
  const failed = newest.filter(({ reason }) => reason !== undefined)
  const late = newest.filter(photo => photo.late)
  const troubles = entries.filter(({ payload }) => payload.level === 'warn' || payload.level === 'error')
  return {
    fromMs: Math.max(fromMs, msOf(entries[0])),
    photos: photos.size,
    counts: { failed: failed.length, late: late.length, troubles: troubles.length },
    sessions: sessionsOf(people, newest),
    failed: failed.slice(0, maxOfKind),
    late: late.slice(0, maxOfKind),
    slowest: newest
      .filter(({ seconds }) => seconds !== undefined)
      .sort((a, b) => (b.seconds ?? 0) - (a.seconds ?? 0))
      .slice(0, maxOfKind),
    troubles: troubles.slice(-maxOfKind).reverse(),
  }
}

const msOf = (entry: Entry | undefined): number => (entry ? Date.parse(timeOf(entry)) : 0)

function photosOf(entries: readonly Entry[]): Map<string, PhotoOfRecent> {
  const photos = new Map<string, PhotoOfRecent>()
  for (const entry of entries) {
    const { photo, event, seconds, reason } = entry.payload
    if (typeof photo !== 'string' || entry.session === null) continue
    const known = photos.get(photo) ?? { photo, session: entry.session, atMs: 0, late: false }
    photos.set(photo, {
      ...known,
      atMs: msOf(entry),
      late: known.late || event === 'promise.broken',
      ...(event === 'photo.ready' && typeof seconds === 'number' && { seconds }),
      ...(event === 'photo.failed' && { reason: String(reason) }),
    })
  }
  return photos
}

function sessionsOf(entries: readonly Entry[], photos: readonly PhotoOfRecent[]): Recent['sessions'] {
  const lastMs = new Map(entries.map(entry => [entry.session ?? '', msOf(entry)]))
  const ofSession = Map.groupBy(photos, ({ session }) => session)
  return [...lastMs]
    .sort(([, a], [, b]) => b - a)
    .slice(0, maxSessions)
    .map(([session, atMs]) => {
      const own = ofSession.get(session) ?? []
      const count = (is: (photo: PhotoOfRecent) => boolean) => own.filter(is).length
      return {
        session,
        atMs,
        photos: own.length,
        failed: count(({ reason }) => reason !== undefined),
        late: count(({ late }) => late),
      }
    })
}

/** Of today and the day before, those written to last. */
function newestFiles(streams: string): string[] {
  const files = list(streams)
    .filter(isDay)
    .toSorted()
    .slice(-2)
    .flatMap(day => streamFiles(join(streams, day)))
    .map(({ file }) => ({ file, writtenMs: statSync(file).mtimeMs }))
  return files
    .sort((a, b) => b.writtenMs - a.writtenMs)
    .slice(0, maxStreams)
    .map(({ file }) => file)
}

/** `cutAtMs`: the time of the first entry when there were others before it, else 0. */
function tailOf(file: string): { entries: Entry[]; cutAtMs: number } {
  const fd = openSync(file, 'r')
  try {
    const { size } = fstatSync(fd)
    const from = Math.max(0, size - tailBytes)
    const bytes = Buffer.alloc(size - from)
    const filled = bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, from))
    const start = from === 0 ? 0 : filled.indexOf(newline) + 1
    const lines = filled.subarray(start, filled.lastIndexOf(newline) + 1).toString()
    const entries = lines
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Entry)
    return { entries, cutAtMs: from === 0 ? 0 : msOf(entries[0]) }
  } finally {
    closeSync(fd)
  }
}
