import { createHash, type Hash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { newline } from '@tintype/lib/telemetry/entry.ts'
import { type Folders, hasNews } from './daily.ts'
import { lookupBytes } from './lookup.ts'
import { dayFile, indexFile, type Manifest, newestManifests, type Range } from './manifest.ts'
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
  /** The journals hold more than this revision: publish the day again. */
  late: boolean
}

/** The first few tell what is wrong; the rest is the same. */
const maxFaults = 10
const readBytes = 2 ** 20

/**
 * Reads published days line by line, apart from the code that merged them, and compares with their manifests. An
 * entry is missing when its stream has a later one, on this day or the published days before.
 */
export async function verify({ streams, days }: Folders, day?: string): Promise<Verdict[]> {
  const manifests = newestManifests(days)
  const chosen = manifests.filter(manifest => day === undefined || manifest.day === day)
  const verdicts: Verdict[] = []
  for (const manifest of chosen) {
    const before = manifests.filter(each => each.day < manifest.day)
    verdicts.push({
      ...(await check(days, manifest, before)),
      late: hasNews(streamFiles(join(streams, manifest.day)), manifest),
    })
  }
  return verdicts
}

export const isSound = ({ faults, missing }: Verdict): boolean => faults.length === 0 && missing.length === 0

async function check(folder: string, manifest: Manifest, before: Manifest[]): Promise<Omit<Verdict, 'late'>> {
  const hash = createHash('sha256')
  const faults: string[] = []
  const lastOf = lastBefore(before)
  const missing = new Map<string, Range[]>()
  let entries = 0
  let previous = ''
  const file = dayFile(folder, manifest)
  if (!existsSync(file)) faults.push(`${basename(file)} is not there`)
  else
    for await (const line of linesOf(file, hash)) {
      entries++
      const fault = checkLine(line, previous, lastOf, missing)
      if (typeof fault === 'string') previous = fault
      else if (faults.length < maxFaults) faults.push(`line ${entries}: ${fault.message}`)
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

/** Checks one line against what came before; gives its place in the order, or what is wrong. */
function checkLine(
  line: string,
  previous: string,
  lastOf: Map<string, number>,
  missing: Map<string, Range[]>,
): string | { message: string } {
  let entry: Entry
  try {
    entry = JSON.parse(line)
  } catch {
    return { message: 'not JSON' }
  }
  if (Object.keys(entry).slice(0, 4).join() !== 'id,session,timestamp,payload')
    return { message: 'not an entry of the schema' }
  const { stream, seq } = splitId(entry.id)
  const last = lastOf.get(stream) ?? 0
  if (seq <= last) return { message: `${entry.id} comes after ${last} of its stream` }
  if (seq > last + 1) missing.set(stream, [...(missing.get(stream) ?? []), [last + 1, seq - 1]])
  lastOf.set(stream, seq)
  const place = `${timeOf(entry)} ${stream} ${String(seq).padStart(16, '0')}`
  return place > previous ? place : { message: `${entry.id} is earlier than the line before` }
}

function lastBefore(manifests: Manifest[]): Map<string, number> {
  const last = new Map<string, number>()
  for (const { streams } of manifests) for (const { stream, last: seq } of streams) last.set(stream, seq)
  return last
}
