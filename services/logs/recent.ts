import { statSync } from 'node:fs'
import { join } from 'node:path'
import { newline } from '@tintype/lib/telemetry/entry.ts'
import type { Folders } from './daily.ts'
import { list, readAt } from './files.ts'
import { streamFiles } from './merge.ts'
import { type Entry, type PhotoOfRecent, type Recent, timeOf } from './page/api.ts'
import { isDay } from './stamp.ts'

/** Of each stream's newest file: some thousand entries. What is older is found by its key. */
const tailBytes = 2 ** 19
/** The streams written to last; a process begins a stream each time it starts. */
const maxStreams = 48
const maxSessions = 12
const maxOfKind = 5

/** The newest sessions of people, and what of the newest entries is unusual. */
export function recent({ streams }: Folders): Recent {
  const tails = newestFiles(streams).map(tailOf)
  // Entries from before the latest cut are left out: some streams' are not read, and counts would be wrong.
  const cutAtMs = Math.max(
    0,
    ...tails.map(({ isCut, entries }) => (isCut && entries[0] ? timeOf(entries[0]) : 0)),
  )
  const entries = tails
    .flatMap(tail => tail.entries)
    .filter(entry => timeOf(entry) >= cutAtMs)
    .sort((a, b) => timeOf(a) - timeOf(b))
  const probes = new Set(entries.flatMap(({ payload, session }) => (payload.probe === true ? session : [])))
  const people = entries.filter(({ session }) => session !== null && !probes.has(session))
  const photos = photosOf(people)
  const failed = photos.filter(({ reason }) => reason !== undefined)
  const late = photos.filter(photo => photo.late)
  const troubles = entries.filter(({ payload }) => payload.level === 'warn' || payload.level === 'error')
  return {
    fromMs: entries[0] ? timeOf(entries[0]) : 0,
    photos: photos.length,
    counts: { failed: failed.length, late: late.length, troubles: troubles.length },
    sessions: sessionsOf(people, photos),
    failed: failed.slice(0, maxOfKind),
    late: late.slice(0, maxOfKind),
    slowest: photos
      .filter(({ seconds }) => seconds !== undefined)
      .sort((a, b) => (b.seconds ?? 0) - (a.seconds ?? 0))
      .slice(0, maxOfKind),
    troubles: troubles.slice(-maxOfKind).reverse(),
  }
}

/** Newest first. */
function photosOf(entries: readonly Entry[]): PhotoOfRecent[] {
  const photos = new Map<string, PhotoOfRecent>()
  for (const entry of entries) {
    const { photo, event, seconds, reason } = entry.payload
    if (typeof photo !== 'string' || entry.session === null) continue
    const known = photos.get(photo) ?? { photo, session: entry.session, atMs: 0, late: false }
    photos.set(photo, {
      ...known,
      atMs: timeOf(entry),
      late: known.late || event === 'promise.broken',
      ...(event === 'photo.ready' && typeof seconds === 'number' && { seconds }),
      ...(event === 'photo.failed' && { reason: String(reason) }),
    })
  }
  return [...photos.values()].reverse()
}

function sessionsOf(entries: readonly Entry[], photos: readonly PhotoOfRecent[]): Recent['sessions'] {
  const lastMs = new Map(entries.map(entry => [entry.session ?? '', timeOf(entry)]))
  const ofSession = Map.groupBy(photos, ({ session }) => session)
  return [...lastMs]
    .sort(([, a], [, b]) => b - a)
    .slice(0, maxSessions)
    .map(([session, atMs]) => {
      const own = ofSession.get(session) ?? []
      const count = (is: (photo: PhotoOfRecent) => boolean) => own.filter(is).length
      const failed = count(({ reason }) => reason !== undefined)
      return { session, atMs, photos: own.length, failed, late: count(({ late }) => late) }
    })
}

/** Of today and the day before, those written to last. */
const newestFiles = (streams: string): string[] =>
  list(streams)
    .filter(isDay)
    .toSorted()
    .slice(-2)
    .flatMap(day => streamFiles(join(streams, day)))
    .map(({ file }) => ({ file, writtenMs: statSync(file).mtimeMs }))
    .sort((a, b) => b.writtenMs - a.writtenMs)
    .slice(0, maxStreams)
    .map(({ file }) => file)

/** `isCut`: there are entries before these. */
function tailOf(file: string): { entries: Entry[]; isCut: boolean } {
  const from = Math.max(0, statSync(file).size - tailBytes)
  const bytes = readAt(file, from, tailBytes)
  const start = from === 0 ? 0 : bytes.indexOf(newline) + 1
  const lines = bytes.toString('utf8', start, bytes.lastIndexOf(newline) + 1).split('\n')
  return { entries: lines.filter(Boolean).map(line => JSON.parse(line)), isCut: from > 0 }
}
