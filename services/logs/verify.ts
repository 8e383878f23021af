import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { epochOf } from '@tintype/lib/telemetry/entry.ts'
import { type Folders, newsOf } from './daily.ts'
import { linesWith } from './files.ts'
import { lookupBytes } from './lookup.ts'
import { dayFile, indexFile, type Manifest, newestManifests } from './manifest.ts'
import { type Range, type StreamPart, streamFiles } from './merge.ts'
import { entryOf } from './search.ts'
import { splitId } from './timeline.ts'

/** Faults that are listed. */
const maxFaults = 10

/**
 * Reads published days line by line, apart from the code that merged them, and compares with their manifests. An
 * entry is missing when its stream has a later one and no other published day has it: clocks go back, too.
 */
export async function verify({ streams, days }: Folders, day?: string) {
  const all = newestManifests(days)
  const wanted = all.filter(each => day === undefined || each.day === day)
  return Array.fromAsync(wanted, async manifest => ({
    ...(await check(days, manifest, all)),
    /** The journals hold entries that are missing in this revision: publish the day again. */
    late: newsOf(streamFiles(join(streams, manifest.day)), manifest).length > 0,
  }))
}

export const isSound = ({ faults, missing }: Awaited<ReturnType<typeof check>>): boolean =>
  faults.length === 0 && missing.length === 0

async function check(folder: string, manifest: Manifest, all: Manifest[]) {
  const hash = createHash('sha256')
  /** What is wrong with the file: damage, order, doubled entries. Empty: it is what its manifest says. */
  const faults: string[] = []
  const { checkLine, missing } = lineChecker(manifest, all)
  let entries = 0
  const file = dayFile(folder, manifest)
  if (existsSync(file))
    for await (const line of linesWith(file, '')) {
      entries++
      hash.update(line).update('\n')
      const fault = checkLine(line)
      if (fault && faults.length < maxFaults) faults.push(`line ${entries}: ${fault}`)
    }
  else faults.push(`${basename(file)} is not there`)
  const index = statSync(indexFile(folder, manifest), { throwIfNoEntry: false })
  if (manifest.blocks && index?.size !== lookupBytes(manifest.blocks))
    faults.push('its index is damaged: entries may be missing in timelines')
  if (hash.digest('hex') !== manifest.sha256) faults.push('its sha256 is not the manifest’s')
  if (entries !== manifest.entries) faults.push(`${entries} entries, ${manifest.entries} in the manifest`)
  const { day, revision } = manifest
  const gaps = [...missing].map(([stream, ranges]) => ({ stream, ranges }))
  return { day, revision, entries, faults, missing: gaps }
}

/** Checks the lines of a day, one after the other; `checkLine` gives what is wrong with one. */
function lineChecker(manifest: Manifest, all: Manifest[]) {
  const lastOf = new Map<string, number>()
  const missing = new Map<string, Range[]>()
  const ofOthers = all.filter(({ day }) => day !== manifest.day).flatMap(({ streams }) => streams)
  const others = Map.groupBy(ofOthers, ({ stream }) => stream)
  const oldestMs = Date.parse(all[0]?.day ?? manifest.day)
  let previous = ''

  const checkLine = (line: Buffer): string | undefined => {
    const entry = entryOf(line)
    if (!entry) return 'not an entry of the schema'
    const { stream, seq } = splitId(entry.id)
    const held = (others.get(stream) ?? []).flatMap(heldIn)
    const last = lastOf.get(stream) ?? Math.max(0, ...held.map(([, to]) => to).filter(to => to < seq))
    if (seq <= last) return `${entry.id} comes after ${last} of its stream`
    if (held.some(([from, to]) => from <= seq && seq <= to)) return `${entry.id} is of another day, too`
    // What a stream has before all that is published may have been removed by age.
    const from = last > 0 || epochOf(stream) * 1000 >= oldestMs ? last + 1 : seq
    const ranges = without(held, from, seq - 1)
    if (ranges.length > 0) missing.set(stream, [...(missing.get(stream) ?? []), ...ranges])
    lastOf.set(stream, seq)
    const place = `${entry.effective_at ?? entry.timestamp} ${stream} ${String(seq).padStart(16, '0')}`
    if (place <= previous) return `${entry.id} is earlier than the line before`
    previous = place
    return undefined
  }
  return { missing, checkLine }
}

/** The numbers that a published day has of a stream. */
const heldIn = ({ first, last, missing }: StreamPart): Range[] =>
  [...missing, [last + 1, last + 1]].map(([to = 0], i) => [(missing[i - 1]?.[1] ?? first - 1) + 1, to - 1])

/** What is left of the numbers `from` to `to` when some ranges are taken out. */
function without(ranges: Range[], from: number, to: number): Range[] {
  const left: Range[] = []
  for (const [first, last] of ranges.toSorted(([a], [b]) => a - b)) {
    if (first > to) break
    if (first > from) left.push([from, first - 1])
    from = Math.max(from, last + 1)
  }
  if (from <= to) left.push([from, to])
  return left
}
