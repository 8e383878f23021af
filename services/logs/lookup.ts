import { closeSync, openSync, writeFileSync } from 'node:fs'
import { hasBytesAt, hashOf, newline } from '@tintype/lib/telemetry/entry.ts'
import { readFrom } from './files.ts'
import type { StreamSource } from './merge.ts'

/**
 * The index beside a published day: from a key (session, photo or trace) to the lines that may hold it. A block is a table
 * of 65,537 numbers, then a number for each key, sorted by bucket: those of bucket b stand from table[b] to table[b + 1].
 * The number is the line's offset in the block, below the 5 highest bits of the key's hash, which save reading most lines
 * of other keys. Blocks bound the memory of a publish.
 */
const buckets = 2 ** 16
const offsetBits = 27
const blockKeys = 2 ** 20
const tableBytes = (buckets + 1) * 4

/** A block covers lines of the day's file from byte `from` on. */
export type Block = { from: number; keys: number }

/** The size of an index of these blocks. */
export const lookupBytes = (blocks: Block[]): number =>
  blocks.reduce((sum, { keys }) => sum + tableBytes + keys * 4, 0)

/** Collects keys, and writes a block whenever it is full. */
export function writeLookup(fd: number) {
  // Allocated once, not for each block: 4 MiB that only the next collection would free.
  const hashes = new Uint32Array(blockKeys)
  const offsets = new Uint32Array(blockKeys)
  const table = new Uint32Array(buckets + 1)
  const sorted = new Uint32Array(blockKeys)
  const blocks: Block[] = []
  let from = 0
  let keys = 0

  const moved = (bucket: number, by: number): number => {
    const to = (table[bucket] as number) + by
    table[bucket] = to
    return to
  }
  const flush = () => {
    if (keys === 0) return
    // First where each bucket ends; filling the buckets from their ends leaves where each begins.
    table.fill(0)
    for (let i = 0; i < keys; i++) moved(bucketOf(hashes[i] as number), 1)
    for (let b = 1; b <= buckets; b++) moved(b, table[b - 1] as number)
    for (let i = keys - 1; i >= 0; i--) {
      const hash = hashes[i] as number
      sorted[moved(bucketOf(hash), -1)] = ((hash >>> offsetBits) << offsetBits) | (offsets[i] as number)
    }
    writeFileSync(fd, table)
    writeFileSync(fd, sorted.subarray(0, keys))
    blocks.push({ from, keys })
    keys = 0
  }

  return {
    add(bytes: Buffer, start: number, end: number, offset: number) {
      if (keys === blockKeys || offset - from >= 2 ** offsetBits) flush()
      if (keys === 0) from = offset
      hashes[keys] = keyHash(bytes, start, end)
      offsets[keys++] = offset - from
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
  const hash = keyHash(needle, 1, needle.length - 1)
  const [day, index] = [openSync(dayFile, 'r'), openSync(indexFile, 'r')]
  try {
    let at = 0
    let previous = -1
    for (const { from, keys } of blocks) {
      const [first = 0, end = 0] = numbersAt(index, at + bucketOf(hash) * 4, 2)
      for (const number of numbersAt(index, at + tableBytes + first * 4, end - first)) {
        const offset = from + (number % 2 ** offsetBits)
        // A line whose session and photo fall into one bucket is there twice.
        if ((number ^ hash) >>> offsetBits !== 0 || offset === previous) continue
        previous = offset
        const line = lineAt(day, offset)
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
const keyHash = (bytes: Buffer, start: number, end: number): number =>
  hashOf(bytes, Math.max(start, end - 8), end)
const bucketOf = (hash: number): number => (hash ^ (hash >>> 16)) & (buckets - 1)

function numbersAt(fd: number, at: number, count: number): Uint32Array {
  const { buffer, byteLength } = readFrom(fd, at, count * 4)
  return new Uint32Array(buffer, 0, byteLength / 4)
}

/** Most lines are shorter. */
const lineGuessBytes = 1_024

function lineAt(fd: number, at: number): Buffer {
  for (let size = lineGuessBytes; ; size *= 4) {
    const bytes = readFrom(fd, at, size)
    const end = bytes.indexOf(newline)
    if (end >= 0 || bytes.length < size) return bytes.subarray(0, end < 0 ? bytes.length : end)
  }
}

const photoOpen = Buffer.from('"photo":"')
const traceOpen = Buffer.from('"trace":"')
const quote = 0x22
/** No photo or trace id is longer; what is, is not found by the index. */
const maxKeyBytes = 64
const sessionDigits = 16

/** Calls `add` with the place of each key of an entry: its session, its photo, its trace. */
export function eachKey(
  { buffer, end, head }: StreamSource,
  add: (start: number, end: number) => void,
): void {
  if (head.sessionAt >= 0) add(head.sessionAt, head.sessionAt + sessionDigits)
  let left = 2
  // Bytes compared in place, as far as needed: two native searches a line cost three times as much.
  for (let at = head.payloadAt; at < end && left > 0; at++) {
    if (buffer[at] !== quote) continue
    const next = buffer[at + 1]
    const open = next === 0x70 ? photoOpen : next === 0x74 ? traceOpen : undefined
    if (!open || !hasBytesAt(buffer, at, open)) continue
    const from = at + open.length
    at = from
    while (at < end && buffer[at] !== quote) at++
    if (at > from && at - from <= maxKeyBytes) add(from, at)
    left--
  }
}
