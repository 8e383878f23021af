import { closeSync, openSync, statSync, writeFileSync } from 'node:fs'
import { hasBytesAt, hashOf } from '@tintype/lib/telemetry/entry.ts'
import { lineAt, readFrom } from './files.ts'
import type { StreamSource } from './merge.ts'

/**
 * The index beside a published day: from a key (session, photo or trace) to the lines that may contain it. It has a
 * number of 8 bytes for each key of a line: 17 bits of the key's hash above the line's offset in the day's file. The
 * numbers are sorted within runs of `runKeys`, which bound the memory of a publish.
 */
const runKeys = 2 ** 19
const offsets = 2 ** 36
const numberBytes = Float64Array.BYTES_PER_ELEMENT

/** Whether an index has all its keys. */
export const isWholeIndex = (file: string, keys: number): boolean =>
  statSync(file, { throwIfNoEntry: false })?.size === keys * numberBytes

/** Collects keys and writes each full run. */
export function writeLookup(fd: number) {
  const run = new Float64Array(runKeys)
  let held = 0
  let written = 0
  const flush = () => {
    // Sorted as integers: the order is the same, and it takes half the time.
    writeFileSync(fd, new BigUint64Array(run.buffer, 0, held).sort())
    written += held
    held = 0
  }
  return {
    add(bytes: Buffer, start: number, end: number, offset: number) {
      if (held === runKeys) flush()
      run[held++] = keyHash(bytes, start, end) * offsets + offset
    },
    /** Returns the number of keys; undefined when the day's file is too long for the offsets. */
    close(dayBytes: number): number | undefined {
      flush()
      return dayBytes <= offsets ? written : undefined
    },
  }
}

/** The lines of a published day that contain a key, in the file's order. */
export function* lookUp(dayFile: string, indexFile: string, keys: number, key: string): Generator<Buffer> {
  const needle = Buffer.from(`"${key}"`)
  const from = keyHash(needle, 1, needle.length - 1) * offsets
  const [day, index] = [openSync(dayFile, 'r'), openSync(indexFile, 'r')]
  const numberAt = (at: number) => readFrom(index, at * numberBytes, numberBytes).readDoubleLE()
  try {
    let previous = -1
    for (let start = 0; start < keys; start += runKeys) {
      const end = Math.min(start + runKeys, keys)
      let [low, high] = [start, end]
      while (low < high) {
        const middle = (low + high) >>> 1
        if (numberAt(middle) < from) low = middle + 1
        else high = middle
      }
      for (; low < end; low++) {
        const offset = numberAt(low) - from
        if (offset >= offsets) break
        // A line is listed twice when its session and its photo have the same hash.
        if (offset === previous) continue
        previous = offset
        const line = lineAt(day, offset)?.subarray(0, -1)
        if (line?.includes(needle)) yield line
      }
    }
  } finally {
    closeSync(day)
    closeSync(index)
  }
}

/** 17 bits, from the last eight digits of a key: they are random, so they spread the keys. */
const keyHash = (bytes: Buffer, start: number, end: number): number =>
  hashOf(bytes, Math.max(start, end - 8), end) >>> 15

const photoOpen = Buffer.from('"photo":"')
const traceOpen = Buffer.from('"trace":"')
const quote = 0x22
/** No photo or trace id is longer. Longer keys are not in the index. */
const maxKeyBytes = 64
const sessionDigits = 16

/** Calls `add` with the position of each key of an entry: session, photo and trace. */
export function eachKey(
  { buffer, end, head }: StreamSource,
  add: (start: number, end: number) => void,
): void {
  if (head.sessionAt >= 0) add(head.sessionAt, head.sessionAt + sessionDigits)
  let left = 2
  // Bytes are compared in place, only as far as needed: two native searches a line cost three times as much.
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
