import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { epochOf } from '@tintype/lib/telemetry/entry.ts'
import { type Folders, newsOf } from './daily.ts'
import { linesWith } from './files.ts'
import { lookupBytes } from './lookup.ts'
import { dayFile, indexFile, type Manifest, newestManifests } from './manifest.ts'
import { type Range, type StreamPart, streamFiles } from './merge.ts'
import { timeOf } from './page/api.ts'
import { entryOf } from './search.ts'
import { splitId } from './timeline.ts'

type VerifiedDay = {
  day: string
  revision: number
  entries: number
  /** What is wrong with the file: damage, order, doubled entries. Empty: it is what its manifest says. */
  faults: string[]
  missing: { stream: string; ranges: Range[] }[]
  /** The journals hold entries that are missing in this revision: publish the day again. */
  late: boolean
}

/** Faults that are listed. */
const maxFaults = 10

/**
 * Reads published days line by line, apart from the code that merged them, and compares with their manifests. An
 * entry is missing when its stream has a later one and no other published day has it: clocks go back, too.
 */
export async function verify({ streams, days }: Folders, day?: string): Promise<VerifiedDay[]> {
  const manifests = newestManifests(days)
  const verdicts: VerifiedDay[] = []
  for (const manifest of manifests.filter(each => day === undefined || each.day === day)) {
    const late = newsOf(streamFiles(join(streams, manifest.day)), manifest).length > 0
    verdicts.push({ ...(await check(days, manifest, manifests)), late })
  }
  return verdicts
}

export const isSound = ({ faults, missing }: VerifiedDay): boolean =>
  faults.length === 0 && missing.length === 0

async function check(
  folder: string,
  manifest: Manifest,
  all: Manifest[],
): Promise<Omit<VerifiedDay, 'late'>> {
  const hash = createHash('sha256')
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
  return {
    day,
    revision,
    entries,
    faults,
    missing: [...missing].map(([stream, ranges]) => ({ stream, ranges })),
  }
}

/** Checks the lines of a day, one after the other; `checkLine` gives what is wrong with one. */
function lineChecker(manifest: Manifest, all: Manifest[]) {
  const lastOf = new Map<string, number>()
  const missing = new Map<string, Range[]>()
  const others = Map.groupBy(
    all.filter(({ day }) => day !== manifest.day).flatMap(({ streams }) => streams),
    ({ stream }) => stream,
  )
  const oldestMs = Date.parse(all[0]?.day ?? manifest.day)
  let previous = ''

  const addMissing = (stream: string, parts: StreamPart[], from: number, to: number) => {
    const ranges = missing.get(stream) ?? []
    for (let seq = from; seq < to; seq++) {
      if (parts.some(part => has(part, seq))) continue
      const newest = ranges.at(-1)
      if (newest?.[1] === seq - 1) newest[1] = seq
      else ranges.push([seq, seq])
    }
    if (ranges.length > 0) missing.set(stream, ranges)
  }
  const checkLine = (line: Buffer): string | undefined => {
    const entry = entryOf(line)
    if (!entry) return 'not an entry of the schema'
    const { stream, seq } = splitId(entry.id)
    const parts = others.get(stream) ?? []
    const last = lastOf.get(stream) ?? Math.max(0, ...parts.map(part => part.last).filter(each => each < seq))
    if (seq <= last) return `${entry.id} comes after ${last} of its stream`
    if (parts.some(part => has(part, seq))) return `${entry.id} is of another day, too`
    // What a stream has before all that is published may have been removed by age.
    addMissing(stream, parts, last > 0 || epochOf(stream) * 1000 >= oldestMs ? last + 1 : seq, seq)
    lastOf.set(stream, seq)
    const place = `${timeOf(entry)} ${stream} ${String(seq).padStart(16, '0')}`
    if (place <= previous) return `${entry.id} is earlier than the line before`
    previous = place
    return undefined
  }
  return { missing, checkLine }
}

const has = ({ first, last, missing }: StreamPart, seq: number): boolean =>
  first <= seq && seq <= last && !missing.some(([from, to]) => from <= seq && seq <= to)
