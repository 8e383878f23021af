import { statSync, writeFileSync } from 'node:fs'
import { linesIn } from '@tintype/lib/lines.ts'
import { chunksOf, opened, readAt } from './files.ts'

/**
 * The index beside a published day. For each block of the day's file it has a record: where the block starts, in 8 bytes,
 * and a Bloom filter with one hash of the keys in its lines. A look-up reads only the blocks that may have its key.
 */
export const blockBytes = 2 ** 18
/** A block has about 900 lines with 3 keys, which set 4 % of the bits: so many of the blocks are read in vain. */
const filterBits = 2 ** 16
const startBytes = 8
const recordBytes = startBytes + filterBits / 8

/** Whether an index has the records of all blocks. */
export const isWholeIndex = (file: string, blocks: number): boolean =>
  statSync(file, { throwIfNoEntry: false })?.size === blocks * recordBytes

export function openIndex(fd: number) {
  const record = Buffer.alloc(recordBytes)
  return {
    /** Adds the strings of a line, from `start` on, that may be keys to the block's filter. */
    add(bytes: Buffer, start: number) {
      let from = start
      for (let at = start; at < bytes.length; at++) {
        if (bytes[at] !== quote) continue
        const length = at - from
        from = at + 1
        // A time ends in Z. Each line has its own, which would fill the filter.
        if (length < hashedDigits || length > maxKeyBytes || bytes[at - 1] === letterZ) continue
        const bit = bitOf(bytes, at)
        const byte = startBytes + (bit >>> 3)
        record[byte] = (record[byte] as number) | (1 << (bit & 7))
      }
    },
    /** Ends the block that starts at byte `start` of the day's file. */
    endBlock(start: number) {
      record.writeDoubleLE(start)
      writeFileSync(fd, record)
      record.fill(0)
    },
  }
}

/** The lines of a published day that contain a key before a quote, in the file's order. */
export function* lookUp(dayFile: string, indexFile: string, blocks: number, text: string): Generator<Buffer> {
  const startOf = (block: number) =>
    block < blocks ? readAt(indexFile, block * recordBytes, startBytes).readDoubleLE() : undefined
  for (const block of blocksWith(indexFile, blocks, Buffer.from(text)))
    for (const chunk of chunksOf(dayFile, startOf(block), blockBytes, startOf(block + 1)))
      for (const line of linesIn(chunk, text)) yield Buffer.from(line)
}

/** The blocks whose filter has the key before this quote. */
function blocksWith(indexFile: string, blocks: number, quoted: Buffer): number[] {
  const bit = bitOf(quoted, quoted.length - 1)
  using open = opened(indexFile)
  const byteOf = (block: number) =>
    readAt(open.fd, block * recordBytes + startBytes + (bit >>> 3), 1)[0] ?? 0xff
  return Array.from({ length: blocks }, (_, i) => i).filter(each => byteOf(each) & (1 << (bit & 7)))
}

const [quote, letterZ] = [0x22, 0x5a]
/** No session, photo or trace id is longer. */
const maxKeyBytes = 64
/** The last digits of a key, which are random. */
const hashedDigits = 8

/** The filter's bit of the key before `end`: 16 bits of FNV-1a. */
function bitOf(bytes: Buffer, end: number): number {
  let hash = 0x811c9dc5
  for (let at = end - hashedDigits; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193)
  return hash >>> 16
}
