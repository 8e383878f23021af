import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { errorCode } from '@tintype/lib/errors.ts'
import { epochOf } from '@tintype/lib/telemetry/entry.ts'
import { dayFile, indexFile, type Manifest, newestManifests, newsOf } from './daily.ts'
import { type Folders, linesWith, streamFiles } from './files.ts'
import { isWholeIndex } from './lookup.ts'
import type { Range, StreamPart } from './merge.ts'
import { entryOf } from './search.ts'
import { placeOf, splitId } from './timeline.ts'

const maxFaults = 10

/**
 * Reads published days line by line, without the code that merged them, and compares them with their manifests. An
 * entry is missing when its stream has a later one and no day has it: a clock step moves entries to another day.
 */
export async function verify({ streams, days }: Folders, day?: string) {
  const all = newestManifests(days)
  const wanted = all.filter(each => day === undefined || each.day === day)
  return Array.fromAsync(wanted, async manifest => ({
    ...(await check(days, manifest, all)),
    /** The journals have entries that this revision lacks: publish the day again. */
    late: newsOf(streamFiles(join(streams, manifest.day)), manifest).length > 0,
  }))
}

export const isSound = ({ faults, missing }: Awaited<ReturnType<typeof check>>): boolean =>
  faults.length === 0 && missing.length === 0

async function check(folder: string, manifest: Manifest, all: Manifest[]) {
  const hash = createHash('sha256')
  /** Faults of the file: damage, order, duplicates. Empty when the file matches its manifest. */
  const faults: string[] = []
  /** The sequence numbers of each stream. */
  const held = new Map<string, Range[]>()
  let entries = 0
  let previous = ''
  const faultOf = (line: Buffer): string | undefined => {
    const entry = entryOf(line)
    if (!entry) return 'not a well-formed entry'
    const { stream, seq } = splitId(entry.id)
    const ranges = held.getOrInsertComputed(stream, () => [])
    const range = ranges.at(-1)
    if (range && seq <= range[1]) return `${entry.id} comes after ${range[1]} of its stream`
    if (range && seq === range[1] + 1) range[1] = seq
    else ranges.push([seq, seq])
    const place = placeOf(entry)
    if (place <= previous) return `${entry.id} is earlier than the line before`
    previous = place
  }
  const file = dayFile(folder, manifest)
  try {
    for await (const line of linesWith(file, '')) {
      entries++
      hash.update(line).update('\n')
      const fault = faultOf(line)
      if (fault && faults.length < maxFaults) faults.push(`line ${entries}: ${fault}`)
    }
  } catch (error) {
    const why =
      errorCode(error) === 'ENOENT' ? 'does not exist' : `cannot be read: ${(error as Error).message}`
    faults.push(`${basename(file)} ${why}`)
  }
  if (manifest.blocks !== undefined && !isWholeIndex(indexFile(folder, manifest), manifest.blocks))
    faults.push('its index is damaged: timelines read the whole day instead')
  if (hash.digest('hex') !== manifest.sha256) faults.push('its sha256 is not the manifest’s')
  if (entries !== manifest.entries) faults.push(`${entries} entries, ${manifest.entries} in the manifest`)
  const { missing, doubled } = compareDays(held, manifest, all)
  const { day, revision } = manifest
  return { day, revision, entries, faults: [...faults, ...doubled.slice(0, maxFaults)], missing }
}

/** The sequence numbers before this day's entries that no published day has, and those that another day also has. */
function compareDays(held: Map<string, Range[]>, { day }: Manifest, all: Manifest[]) {
  const others = all.filter(each => each.day !== day).flatMap(({ streams }) => streams)
  const oldestMs = Date.parse(all[0]?.day ?? day)
  const missing: { stream: string; ranges: Range[] }[] = []
  const doubled: string[] = []
  for (const [stream, ranges] of held) {
    const own = new Set(ranges)
    const gaps: Range[] = []
    // Entries before the oldest published day may have been removed by age.
    let before: Range | undefined = epochOf(stream) * 1000 >= oldestMs ? [0, 0] : undefined
    const known = [...ranges, ...others.filter(each => each.stream === stream).flatMap(rangesOf)]
    for (const range of known.sort(([a], [b]) => a - b)) {
      const [first, last] = range
      if (before && own.has(range) && first > before[1] + 1) gaps.push([before[1] + 1, first - 1])
      if (before && first <= before[1] && (own.has(range) || own.has(before)))
        doubled.push(`${stream}.${first} is also in another day`)
      if (!before || last > before[1]) before = range
    }
    if (gaps.length > 0) missing.push({ stream, ranges: gaps })
  }
  return { missing, doubled }
}

/** The sequence numbers of a stream in a published day. */
const rangesOf = ({ first, last, missing }: StreamPart): Range[] =>
  [...missing, [last + 1, last + 1]].map(([to = 0], i) => [(missing[i - 1]?.[1] ?? first - 1) + 1, to - 1])
