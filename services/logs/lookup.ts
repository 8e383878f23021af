import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { hashOf, matches, newline } from '@tintype/lib/telemetry/entry.ts'
import type { Source } from './merge.ts'

/**
 * The index beside a published day: from a key (session, photo or trace) to the lines that may hold it.
 * Keys fall into 65,536 buckets by hash; a bucket lists the offsets of its lines, and whoever reads it compares
 * the lines themselves. Written in blocks, so that memory does not grow with the day.
 */
const buckets = 65_536
const blockKeys = 2 ** 20
const tableBytes = (buckets + 1) * 4

/** A block covers lines of the day's file from byte `from` on. */
export type Block = { from: number; keys: number }

/** The size of an index of these blocks. */
export const lookupBytes = (blocks: Block[]): number =>
  blocks.reduce((sum, { keys }) => sum + tableBytes + keys * 4, 0)

export type LookupWriter = {
  add(bytes: Buffer, start: number, end: number, offset: number): void
  close(): Block[]
}

/** Collects keys, and writes a block whenever enough have come together. */
export function writeLookup(fd: number): LookupWriter {
  const bucketOf = new Uint16Array(blockKeys)
  const offsetOf = new Uint32Array(blockKeys)
  // Made once, not for each block: 4 MiB that only the next collection would free.
  const starts = new Uint32Array(buckets + 1)
  const next = new Uint32Array(buckets + 1)
  const sorted = new Uint32Array(blockKeys)
  const blocks: Block[] = []
  let from = 0
  let keys = 0

  const flush = () => {
    if (keys === 0) return
    starts.fill(0)
    for (let i = 0; i < keys; i++) (starts[(bucketOf[i] as number) + 1] as number)++
    for (let i = 0; i < buckets; i++) (starts[i + 1] as number) += starts[i] as number
    next.set(starts)
    for (let i = 0; i < keys; i++) {
      const bucket = bucketOf[i] as number
      sorted[next[bucket] as number] = offsetOf[i] as number
      ;(next[bucket] as number)++
    }
    writeWhole(fd, new Uint8Array(starts.buffer))
    writeWhole(fd, new Uint8Array(sorted.buffer, 0, keys * 4))
    blocks.push({ from, keys })
    keys = 0
  }

  return {
    add(bytes, start, end, offset) {
      if (keys === blockKeys || offset - from >= 2 ** 32) flush()
      if (keys === 0) from = offset
      bucketOf[keys] = hash(bytes, start, end)
      offsetOf[keys++] = offset - from
    },
    close() {
      flush()
      return blocks
    },
  }
}

/** The lines of a published day that hold a key, in the file's order. */
export function* lookUp(dayFile: string, indexFile: string, blocks: Block[], key: string): Generator<Buffer> {
  const needle = Buffer.from(`"${key}"`)
  const bucket = hash(needle, 1, needle.length - 1)
  const day = openSync(dayFile, 'r')
  const index = openSync(indexFile, 'r')
  try {
    let at = 0
    let previous = -1
    for (const { from, keys } of blocks) {
      const bounds = readNumbers(index, at + bucket * 4, 2)
      const [first, last] = [bounds[0] as number, bounds[1] as number]
      for (const relative of readNumbers(index, at + tableBytes + first * 4, last - first)) {
        const offset = from + relative
        // A line whose session and photo fall into one bucket stands there twice.
        if (offset === previous) continue
        previous = offset
        const line = readLine(day, offset)
        if (line.includes(needle)) yield line
      }
      at += tableBytes + keys * 4
    }
  } finally {
    closeSync(day)
    closeSync(index)
  }
}

/** Keys end in random digits: the last eight are enough to spread them. */
function hash(bytes: Buffer, start: number, end: number): number {
  const value = hashOf(bytes, Math.max(start, end - 8), end)
  return (value ^ (value >>> 16)) & 0xffff
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
}

function readNumbers(fd: number, at: number, count: number): Uint32Array {
  const numbers = new Uint32Array(count)
  if (count > 0) readSync(fd, numbers, 0, count * 4, at)
  return numbers
}

/** Most lines are shorter. */
const lineGuessBytes = 1_024

function readLine(fd: number, at: number): Buffer {
  for (let size = lineGuessBytes; ; size *= 4) {
    const bytes = Buffer.allocUnsafe(size)
    const read = readSync(fd, bytes, 0, size, at)
    const end = bytes.subarray(0, read).indexOf(newline)
    if (end >= 0) return bytes.subarray(0, end)
    if (read < size) return bytes.subarray(0, read)
  }
}

const photoOpen = Buffer.from('"photo":"')
const traceOpen = Buffer.from('"trace":"')
const quote = 0x22
/** No photo or trace id is longer; what is, is not found by the index. */
const maxKeyBytes = 64
const sessionDigits = 16

/** Calls `add` with the place of each key of an entry: its session, its photo, its trace. */
export function eachKey({ buffer, end, head }: Source, add: (start: number, end: number) => void): void {
  if (head.sessionAt >= 0) add(head.sessionAt, head.sessionAt + sessionDigits)
  let left = 2
  // Bytes compared in place, as far as needed: two native searches a line cost three times as much.
  for (let at = head.payloadAt; at < end && left > 0; at++) {
    if (buffer[at] !== quote) continue
    const next = buffer[at + 1]
    const open = next === 0x70 ? photoOpen : next === 0x74 ? traceOpen : undefined
    if (!open || !matches(buffer, at, open)) continue
    const from = at + open.length
    at = from
    while (at < end && buffer[at] !== quote) at++
    if (at > from && at - from <= maxKeyBytes) add(from, at)
    left--
  }
}
