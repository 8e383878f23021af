import { isUtf8 } from 'node:buffer'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { parseJson } from '../json.ts'
import { maxBatchBytes, newline, scanEntry, streamPrefix } from './entry.ts'
import type { Segment, ShippableJournal } from './journal.ts'

/** Complete lines of one stream, with sequence numbers from `first` to `last` without a gap. */
export type EntryBatch = { stream: string; first: number; last: number; body: Buffer }

type Line = { seq: number; bytes: Buffer; end: number }
type Source = { segment: Segment; handle: FileHandle; prefix: Buffer }

/** Entries of a batch. */
const batchEntries = 1_000
/** Growth of batches after one that was too large: slow, so that a proxy refuses only one in ten. */
const regrownEntries = 10

/** Reads the journal's entries in batches, oldest segment first, and frees each segment that is acknowledged. */
export function readBatches(journal: ShippableJournal) {
  const buffer = Buffer.allocUnsafe(maxBatchBytes)
  let source: Source | undefined
  /** The position of the next read in the segment, and the sequence number expected there. */
  let at = { position: 0, seq: 0 }
  let readTo = at
  let acked = { stream: '', seq: 0 }
  let most = batchEntries

  const select = async (segment: Segment): Promise<Source> => {
    if (source?.segment === segment) return source
    await source?.handle.close()
    source = undefined
    const handle = await open(segment.file, 'r').catch(error => {
      if (error.code === 'ENOENT') journal.free(segment)
      throw new Error(`could not read the journal segment ${segment.file}`, { cause: error })
    })
    at = { position: 0, seq: segment.first }
    source = { segment, handle, prefix: streamPrefix(segment.written) }
    return source
  }

  const gather = async (from: Source): Promise<EntryBatch | 'moved' | 'end'> => {
    const before = at.position > 0 && (await from.handle.read(Buffer.alloc(1), 0, 1, at.position - 1))
    if (before && before.buffer[0] !== newline) {
      // A person emptied the file. Its process continues at the start, perhaps already past this position.
      at = { position: 0, seq: from.segment.first }
      return 'moved'
    }
    const { bytesRead } = await from.handle.read(buffer, 0, buffer.length, at.position)
    const held = acked.stream === from.segment.stream ? acked.seq : 0
    const start = at.position
    const lines: Line[] = []
    for (const line of readLines(buffer.subarray(0, bytesRead), from.prefix, at.seq)) {
      const previous = lines.at(-1)
      if (previous && (line.seq !== previous.seq + 1 || lines.length >= most)) break
      if (line.seq > held) lines.push(line)
      else at = { position: start + line.end, seq: line.seq + 1 }
    }
    const [first, last] = [lines[0], lines.at(-1)]
    if (first && last) {
      readTo = { position: start + last.end, seq: last.seq + 1 }
      return { first: first.seq, last: last.seq, ...shipped(from, ...lines.map(line => line.bytes)) }
    }
    if (at.position > start) return 'moved'
    return bytesRead < buffer.length ? 'end' : overlong(from)
  }

  /** Replaces a line that is longer than a batch, which only a damaged disk can hold, by an entry with its size. */
  const overlong = async (from: Source): Promise<EntryBatch | 'end'> => {
    const end = (await readFile(from.segment.file)).indexOf(newline, at.position)
    if (end < 0) return 'end'
    readTo = { position: end + 1, seq: at.seq + 1 }
    return {
      first: at.seq,
      last: at.seq,
      ...shipped(from, placeholder(from.prefix, at.seq, end - at.position)),
    }
  }

  return {
    /** The oldest entries that are not acknowledged. Repeated calls return the same ones. */
    async next(): Promise<EntryBatch | 'drained'> {
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
    /** The server has stored the stream up to `seq`; `next` continues after it. */
    acknowledged({ stream, last }: EntryBatch, seq: number) {
      acked = { stream, seq }
      most = Math.min(batchEntries, most + regrownEntries)
      if (seq >= last) at = readTo
    },
    /** The server lacks entries before the batch; `next` restarts with the oldest entry in the journal. */
    rewind({ stream }: EntryBatch, expected: number) {
      acked = { stream, seq: expected - 1 }
      at = { position: 0, seq: source?.segment.first ?? 0 }
    },
    /** The batch is too large for the line or a proxy: `next` gives half of it, and later batches grow slowly. */
    halve({ first, last }: EntryBatch) {
      most = Math.ceil((last - first + 1) / 2)
    },
    /** Bytes of the journal that the server has not acknowledged. */
    unshipped: (): number =>
      journal
        .segments()
        .reduce((sum, segment) => sum + segment.bytes - (segment === source?.segment ? at.position : 0), 0),
    async close() {
      await source?.handle.close()
    },
  }
}

/** The lines with the ids of the stream that their segment is shipped in. */
function shipped({ segment: { stream, written }, prefix }: Source, ...lines: Buffer[]) {
  const renamed = (line: Buffer) => [streamPrefix(stream), line.subarray(prefix.length)]
  return { stream, body: Buffer.concat(stream === written ? lines : lines.flatMap(renamed)) }
}

/** The complete lines in `bytes`, from sequence number `expected`. An unreadable line is replaced, never skipped. */
function* readLines(bytes: Buffer, prefix: Buffer, expected: number): Generator<Line> {
  for (let start = 0, end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
    const line = bytes.subarray(start, end + 1)
    const seq = isUtf8(line) ? scanEntry(bytes, start, end, prefix)?.seq : undefined
    const isWhole = seq !== undefined && parseJson(line.toString('latin1')) !== undefined
    yield {
      seq: seq ?? expected,
      bytes: isWhole ? line : placeholder(prefix, seq ?? expected, line.length - 1),
      end: end + 1,
    }
    expected = (seq ?? expected) + 1
    start = end + 1
  }
}

/** The entry that replaces an unreadable line. */
function placeholder(prefix: Buffer, seq: number, bytes: number): Buffer {
  const payload = JSON.stringify({ event: 'log.unreadable', level: 'error', bytes })
  const timestamp = new Date().toISOString()
  return Buffer.from(`${prefix}${seq}","session":null,"timestamp":"${timestamp}","payload":${payload}}\n`)
}
