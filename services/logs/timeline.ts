import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { limits } from '@tintype/lib/limits.ts'
import { isStream, newline, sourceOf } from '@tintype/lib/telemetry/entry.ts'
import type { Folders } from './daily.ts'
import { lookUp } from './lookup.ts'
import { dayFile, indexFile, isDay, list, type Manifest, newestManifests } from './manifest.ts'
import { streamFiles } from './merge.ts'
import type { Entry, Story } from './page/api.ts'

export type Timeline = Pick<Story, 'key' | 'entries' | 'cut'>

const scanBytes = 2 ** 22

export const isKey = (text: string): boolean => /^[0-9a-z]{8,64}$/.test(text)

/**
 * Every entry that names a session, a photo or a trace, of all services, in order: what is published by its
 * index, what came since out of the journals. `day`: of this UTC day only.
 */
export function timeline({ streams, days }: Folders, key: string, day?: string): Timeline {
  const manifests = new Map(newestManifests(days).map(manifest => [manifest.day, manifest]))
  const known = new Set([...manifests.keys(), ...list(streams).filter(isDay)])
  const lines: Buffer[] = []
  let bytes = 0
  for (const each of [...known].sort()) {
    if (day !== undefined && each !== day) continue
    const manifest = manifests.get(each)
    for (const line of ofDay(streams, days, each, manifest, key)) {
      bytes += line.length
      // A person reads a timeline: more entries would not help.
      if (lines.length === limits.timelineEntries.value || bytes > limits.timelineBytes.value)
        return { key, entries: inOrder(lines), cut: true }
      lines.push(line)
    }
  }
  return { key, entries: inOrder(lines), cut: false }
}

function* ofDay(
  streams: string,
  days: string,
  day: string,
  manifest: Manifest | undefined,
  key: string,
): Generator<Buffer> {
  if (manifest) yield* lookUp(dayFile(days, manifest), indexFile(days, manifest), manifest.index, key)
  const published = new Map(manifest?.streams.map(({ stream, journalBytes }) => [stream, journalBytes]))
  for (const { stream, file } of streamFiles(join(streams, day)))
    yield* search(file, published.get(stream) ?? 0, key)
}

/** The whole lines from byte `from` on that hold the key. */
function* search(file: string, from: number, key: string): Generator<Buffer> {
  const needle = Buffer.from(`"${key}"`)
  const fd = openSync(file, 'r')
  try {
    let bytes = Buffer.alloc(scanBytes)
    for (let kept = 0, at = from; ; ) {
      const read = readSync(fd, bytes, kept, bytes.length - kept, at)
      if (read === 0) return
      at += read
      const filled = bytes.subarray(0, kept + read)
      const whole = filled.lastIndexOf(newline) + 1
      const lines = filled.subarray(0, whole)
      for (let hit = lines.indexOf(needle); hit >= 0; ) {
        const start = lines.lastIndexOf(newline, hit) + 1
        const end = lines.indexOf(newline, hit)
        yield Buffer.from(lines.subarray(start, end))
        hit = lines.indexOf(needle, end)
      }
      kept = filled.length - whole
      if (kept === bytes.length) bytes = Buffer.concat([bytes], 2 * bytes.length)
      else bytes.copyWithin(0, whole, filled.length)
    }
  } finally {
    closeSync(fd)
  }
}

export const timeOf = (entry: Entry): string => entry.effective_at ?? entry.timestamp
/** `service.instance.epoch` and the sequence number. */
export function splitId(id: string): { stream: string; seq: number } {
  const dot = id.lastIndexOf('.')
  return { stream: id.slice(0, dot), seq: Number(id.slice(dot + 1)) }
}
export const serviceOf = (entry: Entry): string => {
  const { stream } = splitId(entry.id)
  return isStream(stream) ? sourceOf(stream) : stream
}

/** As in a published day: effective time, stream, sequence number. */
function inOrder(lines: Buffer[]): Entry[] {
  const keyed = lines.map(line => {
    const entry = JSON.parse(line.toString()) as Entry
    return { entry, time: timeOf(entry), ...splitId(entry.id) }
  })
  keyed.sort((a, b) => compare(a.time, b.time) || compare(a.stream, b.stream) || a.seq - b.seq)
  return keyed.map(({ entry }) => entry)
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
