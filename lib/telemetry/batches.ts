import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { limits } from '../limits.ts'
import { maxBatchBytes, newline, scanEntry, streamPrefix } from './entry.ts'
import type { Segment, ShippableJournal } from './journal.ts'

/** Whole lines of one stream whose sequence numbers run from `first` to `last` without a gap. */
export type EntryBatch = { stream: string; first: number; last: number; body: Buffer }

type Batches = {
  /** The oldest entries that are not acknowledged; the same ones until they are. */
  next(): Promise<EntryBatch | 'drained'>
  /** The server has the stream up to this entry; `next` continues after it. */
  acknowledged(batch: EntryBatch, seq: number): void
  /** The server lacks entries before the batch; `next` starts again with the oldest entry in the journal. */
  rewind(batch: EntryBatch, expected: number): void
  close(): Promise<void>
}

type Line = { seq: number; bytes: Buffer; end: number }
type Source = { segment: Segment; handle: FileHandle; prefix: Buffer }

/** Reads the journal's entries in batches, oldest segment first, and frees each segment that is acknowledged. */
export function readBatches(journal: ShippableJournal): Batches {
  const buffer = Buffer.allocUnsafe(maxBatchBytes)
  let source: Source | undefined
  /** The position of the next read in the segment, and the sequence number expected there. */
  let at = { position: 0, seq: 0 }
  let readTo = at
  let acked = { stream: '', seq: 0 }

  const select = async (segment: Segment): Promise<Source> => {
    if (source?.segment === segment) return source
    await source?.handle.close()
    source = undefined
    const handle = await openSegment(segment)
    at = { position: 0, seq: segment.first }
    source = { segment, handle, prefix: streamPrefix(segment.stream) }
    return source
  }

  const openSegment = async (segment: Segment): Promise<FileHandle> => {
    try {
      return await open(segment.file, 'r')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') journal.free(segment)
      throw new Error(`could not read the journal segment ${segment.file}`, { cause: error })
    }
  }

  const gather = async (from: Source): Promise<EntryBatch | 'moved' | 'end'> => {
    const { bytesRead } = await from.handle.read(buffer, 0, buffer.length, at.position)
    if (bytesRead === 0 && at.position > (await from.handle.stat()).size) {
      // A person emptied the file, and its process writes to it from the start.
      at = { position: 0, seq: from.segment.first }
      return 'moved'
    }
    const held = acked.stream === from.segment.stream ? acked.seq : 0
    const start = at.position
    const lines: Line[] = []
    for (const line of readLines(buffer.subarray(0, bytesRead), from.prefix, at.seq)) {
      const previous = lines.at(-1)
      if (previous && (line.seq !== previous.seq + 1 || lines.length === limits.logBatchEntries.value)) break
      if (line.seq > held) lines.push(line)
      else at = { position: start + line.end, seq: line.seq + 1 }
    }
    const [first, last] = [lines[0], lines.at(-1)]
    if (first && last) {
      readTo = { position: start + last.end, seq: last.seq + 1 }
      const body = Buffer.concat(lines.map(line => line.bytes))
      return { stream: from.segment.stream, first: first.seq, last: last.seq, body }
    }
    if (at.position > start) return 'moved'
    return bytesRead < buffer.length ? 'end' : overlong(from)
  }

  /** Replaces a line that is longer than a batch, which only a damaged disk can hold, by an entry with its size and hash. */
  const overlong = async ({ segment, handle, prefix }: Source): Promise<EntryBatch | 'end'> => {
    const hash = createHash('sha256')
    for (let bytes = 0; ; ) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at.position + bytes)
      if (bytesRead === 0) return 'end'
      const found = buffer.subarray(0, bytesRead).indexOf(newline)
      hash.update(buffer.subarray(0, found < 0 ? bytesRead : found))
      bytes += found < 0 ? bytesRead : found
      if (found < 0) continue
      const body = placeholder(prefix, at.seq, bytes, hash.digest('hex'))
      readTo = { position: at.position + bytes + 1, seq: at.seq + 1 }
      return { stream: segment.stream, first: at.seq, last: at.seq, body }
    }
  }

  return {
    async next() {
      for (;;) {
        const [segment, newer] = journal.segments()
        if (!segment) return 'drained'
        const batch = await select(segment).then(gather)
        if (typeof batch === 'object') return batch
        if (batch === 'moved') continue
        if (!newer && journal.isLive) return 'drained'
        journal.free(segment)
      }
    },
    acknowledged({ stream, last }, seq) {
      acked = { stream, seq }
      if (seq >= last) at = readTo
    },
    rewind({ stream }, expected) {
      acked = { stream, seq: expected - 1 }
      at = { position: 0, seq: source?.segment.first ?? 0 }
    },
    async close() {
      await source?.handle.close()
    },
  }
}

/** The whole lines in bytes. An unreadable line is replaced, never skipped. `expected`: the first sequence number. */
function* readLines(bytes: Buffer, prefix: Buffer, expected: number): Generator<Line> {
  const utf8 = isUtf8(bytes)
  for (let start = 0, end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
    const line = bytes.subarray(start, end + 1)
    const seq = utf8 || isUtf8(line) ? scanEntry(bytes, start, end, prefix)?.seq : undefined
    yield seq !== undefined && isJson(line)
      ? { seq, bytes: line, end: end + 1 }
      : {
          seq: seq ?? expected,
          bytes: placeholder(
            prefix,
            seq ?? expected,
            line.length - 1,
            createHash('sha256').update(line.subarray(0, -1)).digest('hex'),
          ),
          end: end + 1,
        }
    expected = (seq ?? expected) + 1
    start = end + 1
  }
}

function isJson(line: Buffer): boolean {
  try {
    JSON.parse(line.toString('latin1'))
    return true
  } catch {
    return false
  }
}

/** The entry that replaces an unreadable line. */
function placeholder(prefix: Buffer, seq: number, bytes: number, sha256: string): Buffer {
  const payload = JSON.stringify({ event: 'log.unreadable', level: 'error', bytes, sha256 })
  const timestamp = new Date().toISOString()
  return Buffer.from(`${prefix}${seq}","session":null,"timestamp":"${timestamp}","payload":${payload}}\n`)
}
