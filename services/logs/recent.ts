import { statSync } from 'node:fs'
import { join } from 'node:path'
import { dayOf, isDay } from '@tintype/lib/day.ts'
import { newline } from '@tintype/lib/telemetry/entry.ts'
import { type Folders, namesIn, readAt, streamFiles } from './files.ts'
import { type Entry, factText, isSeconds, isTrouble, nameOf, type RecentRow, timeOf } from './page/api.ts'
import { entryOf } from './search.ts'

/** Bytes read from the ends of all files together: some thousand entries each. Older entries are found by their key. */
const tailsBytes = 24 * 2 ** 20
/** Files to read, the most recently written ones; all that were written to within an hour, when these are more. */
const minFiles = 48
const hourMs = 3_600_000
const maxSessions = 12
const maxOfKind = 5
/** Not counted: the hourly removal by age would make old sessions the newest. */
const removals = new Set<unknown>(['photo.deleted', 'photo.forgotten'])

export type Recent = ReturnType<typeof recent>

/** The newest sessions of people, and the unusual ones of the newest entries. `counts`: how many there are in all. */
export function recent({ streams }: Folders) {
  const files = newestFiles(streams)
  const lately = files.filter(({ writtenMs }) => writtenMs > (files[0]?.writtenMs ?? 0) - hourMs).length
  const count = Math.max(minFiles, lately)
  const tails = files.slice(0, count).map(({ file }) => tailOf(file, Math.floor(tailsBytes / count)))
  // Entries before the latest cut are left out: some files were not read that far, and counts would be wrong.
  const cuts = tails.flatMap(({ isCut, entries: [first] }) => (isCut && first ? timeOf(first) : []))
  const cutAtMs = Math.max(files[count]?.writtenMs ?? 0, ...cuts)
  const entries = tails
    .flatMap(tail => tail.entries)
    .filter(entry => timeOf(entry) >= cutAtMs)
    .sort((a, b) => timeOf(a) - timeOf(b))
  const probes = new Set(entries.flatMap(({ payload, session }) => (payload.probe === true ? session : [])))
  const people = entries.filter(
    ({ session, payload }) => session !== null && !probes.has(session) && !removals.has(payload.event),
  )
  const photos = photosOf(people)
  const failed = photos.filter(({ reason }) => reason !== undefined)
  const late = photos.filter(isLate)
  const troubles = entries.filter(isTrouble)
  const slowest = photos.toSorted((a, b) => (b.seconds ?? -1) - (a.seconds ?? -1))
  const rows = (of: Photo[], state?: RecentRow['state']): RecentRow[] =>
    of
      .slice(0, maxOfKind)
      .map(({ id, atMs, seconds, reason }) => ({ key: id, atMs, seconds, text: reason, state }))
  return {
    /** Time of the oldest entry that was read; 0: there is none. */
    fromMs: entries[0] ? timeOf(entries[0]) : 0,
    counts: { photos: photos.length, failed: failed.length, late: late.length, troubles: troubles.length },
    sessions: sessionsOf(people, photos),
    failed: rows(failed, 'broken'),
    late: rows(late, 'late'),
    slowest: rows(slowest.filter(({ seconds }) => seconds !== undefined)),
    troubles: troubles.slice(-maxOfKind).reverse().map(rowOfTrouble),
  }
}

type Photo = {
  id: string
  session: string | null
  atMs: number
  broken: boolean
  seconds?: number
  reason?: string
}

/** A promise is also broken by a photo that failed, however soon. */
const isLate = ({ broken, reason }: Photo): boolean => broken && reason === undefined

/** The photos of these entries, newest first. */
function photosOf(entries: readonly Entry[]): Photo[] {
  const photos = new Map<string, Photo>()
  for (const entry of entries) {
    const { photo: id, event, seconds, reason } = entry.payload
    if (typeof id !== 'string') continue
    const photo: Photo = { id, session: entry.session, broken: false, ...photos.get(id), atMs: timeOf(entry) }
    if (event === 'promise.broken') photo.broken = true
    // It may have failed before: a person replays dead letters.
    if (event === 'photo.ready')
      Object.assign(photo, { seconds: isSeconds(seconds) ? seconds : undefined, reason: undefined })
    if (event === 'photo.failed') photo.reason = factText(reason)
    photos.set(id, photo)
  }
  return [...photos.values()].reverse()
}

function sessionsOf(entries: readonly Entry[], photos: readonly Photo[]): RecentRow[] {
  const lastMs = new Map(entries.map(entry => [entry.session, timeOf(entry)]))
  return [...lastMs]
    .sort(([, a], [, b]) => b - a)
    .slice(0, maxSessions)
    .map(([key, atMs]) => {
      const own = photos.filter(({ session }) => session === key)
      const failed = own.filter(({ reason }) => reason !== undefined).length
      const late = own.filter(isLate).length
      const state = failed > 0 ? 'broken' : late > 0 ? 'late' : undefined
      return { key, atMs, state, counts: { photos: own.length, failed, late } }
    })
}

function rowOfTrouble(entry: Entry): RecentRow {
  const { level, photo } = entry.payload
  const key = typeof photo === 'string' ? photo : entry.session
  const state = level === 'error' ? 'broken' : 'late'
  return { key, atMs: timeOf(entry), state, text: nameOf(entry) }
}

/** The files of the last two days, newest first. A day in the future comes from a clock that was set back since. */
const newestFiles = (streams: string) =>
  namesIn(streams)
    .filter(day => isDay(day) && day <= dayOf(Date.now()))
    .toSorted()
    .slice(-2)
    .flatMap(day => streamFiles(join(streams, day)))
    .map(({ file }) => ({ file, writtenMs: statSync(file).mtimeMs }))
    .sort((a, b) => b.writtenMs - a.writtenMs)

/** The last entries of a file. `isCut`: the file has earlier ones. */
function tailOf(file: string, tailBytes: number): { entries: Entry[]; isCut: boolean } {
  const from = Math.max(0, statSync(file).size - tailBytes)
  const bytes = readAt(file, from, tailBytes)
  const start = from === 0 ? 0 : bytes.indexOf(newline) + 1
  const lines = bytes.toString('utf8', start, bytes.lastIndexOf(newline) + 1).split('\n')
  return { entries: lines.flatMap(line => entryOf(line) ?? []), isCut: from > 0 }
}
