import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { dayMs, isDay } from '@tintype/lib/day.ts'
import { parseJson } from '@tintype/lib/json.ts'
import { dayFile, indexFile, newestManifest, newestRevisions, newsOf } from './daily.ts'
import { type Folders, linesWith, namesIn, streamFiles } from './files.ts'
import { isWholeIndex, lookUp } from './lookup.ts'
import { type Entry, factText, timeOf } from './page/api.ts'

/** Published days and days with received entries, oldest first. */
export const knownDays = ({ streams, days }: Folders): string[] =>
  [...new Set([...newestRevisions(days).keys(), ...namesIn(streams).filter(isDay)])].sort()

/**
 * The lines of some days that contain a text: of each day's newest revision, in order, then those that each stream
 * received since. `isKey`: the text is a key and its closing quote, so that the revision's index can be used.
 * `onUnreadable` gets the name of a file that cannot be read, in place of the others an error.
 */
export async function* linesOf(
  { streams, days }: Folders,
  ofDays: string[],
  text: string,
  isKey = false,
  onUnreadable?: (name: string) => void,
): AsyncGenerator<Buffer> {
  for (const day of ofDays) {
    const newest = newestManifest(days, day)
    // If a person removed the published file, which verify reports, the journals are read.
    const manifest = newest && existsSync(dayFile(days, newest)) ? newest : undefined
    const parts = newsOf(streamFiles(join(streams, day)), manifest).map(({ file, from }) => ({
      file,
      lines: linesWith(file, text, from) as Lines,
    }))
    if (manifest) {
      const [file, index] = [dayFile(days, manifest), indexFile(days, manifest)]
      const { blocks } = manifest
      const isIndexed = isKey && blocks !== undefined && isWholeIndex(index, blocks)
      parts.unshift({ file, lines: isIndexed ? lookUp(file, index, blocks, text) : linesWith(file, text) })
    }
    for (const { file, lines } of parts)
      try {
        yield* lines
      } catch (error) {
        if (!onUnreadable) throw error
        onUnreadable(join(basename(dirname(file)), basename(file)))
      }
  }
}

type Lines = AsyncGenerator<Buffer> | Generator<Buffer>

/** Parses an entry; undefined for a line that the disk damaged. */
export function entryOf(line: Buffer | string): Entry | undefined {
  const entry = parseJson<Entry>(line.toString())
  return /^id,session,timestamp,payload,/.test(`${Object.keys(entry ?? {})}`) ? entry : undefined
}

/** `event`: the start of an event's name. */
export type Wanted = { fromMs: number; toMs: number; event?: string; level?: string }

/** The lines in [from, to) of a level, or of events; undefined when these days have none. */
export function entriesIn(folders: Folders, wanted: Wanted): AsyncGenerator<string> | undefined {
  const { fromMs, toMs, event, level } = wanted
  const days = knownDays(folders).filter(day => Date.parse(day) < toMs && Date.parse(day) + dayMs > fromMs)
  // Another shipper's JSON may have a space before the value, and escapes for any sign, as PHP for a slash.
  const text = event === undefined ? `"${level}"` : `"${/^[\w.-]*/.exec(event)}`
  const lines = linesOf(folders, days, text)
  return days.length === 0 ? undefined : matching(lines, wanted)
}

async function* matching(lines: AsyncGenerator<Buffer>, { fromMs, toMs, event, level }: Wanted) {
  for await (const line of lines) {
    const entry = entryOf(line)
    if (!entry || timeOf(entry) < fromMs || timeOf(entry) >= toMs) continue
    if (event !== undefined && !factText(entry.payload.event).startsWith(event)) continue
    if (level !== undefined && entry.payload.level !== level) continue
    yield `${line}\n`
  }
}
