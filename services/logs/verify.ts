import { createHash, type Hash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { epochOf, newline } from '@tintype/lib/telemetry/entry.ts'
import { type Folders, hasNews } from './daily.ts'
import { lookupBytes } from './lookup.ts'
import {
  dayFile,
  indexFile,
  type Manifest,
  newestManifests,
  type Range,
  type StreamPart,
} from './manifest.ts'
import { streamFiles } from './merge.ts'
import type { Entry } from './page/api.ts'
import { splitId, timeOf } from './timeline.ts'

export type Verdict = {
  day: string
  revision: number
  entries: number
  /** What is wrong with the file: damage, order, doubled entries. Empty: it is what its manifest says. */
  faults: string[]
  missing: { stream: string; ranges: Range[] }[]
  /** The journals hold entries that this revision lacks: publish the day again. */
  late: boolean
}

/** Faults that are listed. */
const maxFaults = 10
const readBytes = 2 ** 20

/**
 * Reads published days line by line, apart from the code that merged them, and compares with their manifests. An
 * entry is missing when its stream has a later one and no other published day has it: clocks go back, too.
 */
export async function verify({ streams, days }: Folders, day?: string): Promise<Verdict[]> {
  const manifests = newestManifests(days)
  const chosen = manifests.filter(manifest => day === undefined || manifest.day === day)
  const verdicts: Verdict[] = []
  for (const manifest of chosen) {
    verdicts.push({
      ...(await check(days, manifest, manifests)),
      late: hasNews(streamFiles(join(streams, manifest.day)), manifest),
    })
  }
  return verdicts
}

export const isSound = ({ faults, missing }: Verdict): boolean => faults.length === 0 && missing.length === 0

async function check(folder: string, manifest: Manifest, all: Manifest[]): Promise<Omit<Verdict, 'late'>> {
  const hash = createHash('sha256')
  const faults: string[] = []
  const { checkLine, missing } = lineChecker(manifest, all)
  let entries = 0
  const file = dayFile(folder, manifest)
  if (!existsSync(file)) faults.push(`${basename(file)} is not there`)
  else
    for await (const line of linesOf(file, hash)) {
      entries++
      const fault = checkLine(line)
      if (fault && faults.length < maxFaults) faults.push(`line ${entries}: ${fault}`)
    }
  const index = statSync(indexFile(folder, manifest), { throwIfNoEntry: false })
  if (index?.size !== lookupBytes(manifest.index))
    faults.push('its index is damaged: timelines may lack entries')
  if (hash.digest('hex') !== manifest.sha256) faults.push('its sha256 is not the manifest’s')
  if (entries !== manifest.entries) faults.push(`${entries} entries, ${manifest.entries} in the manifest`)
  return {
    day: manifest.day,
    revision: manifest.revision,
    entries,
    faults,
    missing: [...missing].map(([stream, ranges]) => ({ stream, ranges })),
  }
}

/** Lines end at newlines only: node:readline would break a text at U+2028 too. */
async function* linesOf(file: string, hash: Hash): AsyncGenerator<string> {
  let left = Buffer.alloc(0)
  for await (const chunk of createReadStream(file, { highWaterMark: readBytes })) {
    hash.update(chunk)
    const bytes = Buffer.concat([left, chunk])
    let start = 0
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      yield bytes.toString('utf8', start, end)
      start = end + 1
    }
    left = bytes.subarray(start)
  }
  if (left.length > 0) yield left.toString()
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

  /** Notes what is missing of a stream before an entry, and gives what is wrong with its number. */
  const checkNumber = (stream: string, seq: number): string | undefined => {
    const parts = others.get(stream) ?? []
    const last = lastOf.get(stream) ?? Math.max(0, ...parts.map(part => part.last).filter(each => each < seq))
    if (seq <= last) return `comes after ${last} of its stream`
    if (parts.some(part => has(part, seq))) return 'is of another day, too'
    const ranges = missing.get(stream) ?? []
    // What a stream has before all that is published may have been removed by age.
    const from = last > 0 || epochOf(stream) * 1000 >= oldestMs ? last + 1 : seq
    for (let each = from; each < seq; each++) {
      if (parts.some(part => has(part, each))) continue
      const newest = ranges.at(-1)
      if (newest?.[1] === each - 1) newest[1] = each
      else ranges.push([each, each])
    }
    if (ranges.length > 0) missing.set(stream, ranges)
    lastOf.set(stream, seq)
    return undefined
  }
  const checkLine = (line: string): string | undefined => {
    let entry: Entry
    try {
      entry = JSON.parse(line)
    } catch {
      return 'not JSON'
    }
    if (Object.keys(entry).slice(0, 4).join() !== 'id,session,timestamp,payload')
      return 'not an entry of the schema'
    const { stream, seq } = splitId(entry.id)
    const wrong = checkNumber(stream, seq)
    if (wrong) return `${entry.id} ${wrong}`
    const place = `${timeOf(entry)} ${stream} ${String(seq).padStart(16, '0')}`
    if (place <= previous) return `${entry.id} is earlier than the line before`
    previous = place
    return undefined
  }
  return { missing, checkLine }
}

const has = ({ first, last, missing }: StreamPart, seq: number): boolean =>
  first <= seq && seq <= last && !missing.some(([from, to]) => from <= seq && seq <= to)
