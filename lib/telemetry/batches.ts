import { isUtf8 } from 'node:buffer'
import { open } from 'node:fs/promises'
import { parseJson } from '../json.ts'
import { linesIn } from '../lines.ts'
import { maxBatchBytes, newline, scanEntry, streamPrefix } from './entry.ts'
import type { Segment, ShippableJournal } from './journal.ts'

type Place = { segment: Segment; position: number }
/** Complete lines of one stream, with sequence numbers from `first` to `last` without a gap, up to `end`. */
export type EntryBatch = { stream: string; first: number; last: number; body: Buffer; end: Place }
type Line = { seq: number; bytes: Buffer; end: number }

const batchEntries = 1_000
/** Growth of batches after one that was too large: slow, so that a proxy refuses only one in ten. */
const regrownEntries = 10

/** Reads the journal's entries in batches, oldest segment first, and frees each segment that is acknowledged. */
export function readBatches(journal: ShippableJournal) {
  let at: Place | undefined
  let acked = { stream: '', seq: 0 }
  let most = batchEntries

  /** The next entries of a segment that are not acknowledged; undefined at its end. */
  const gather = async (segment: Segment): Promise<EntryBatch | undefined> => {
    const start = { segment, position: 0 }
    let from = at?.segment === segment ? at : start
    let bytes = await read(segment, from.position).catch(error => {
      if (error.code === 'ENOENT') journal.free(segment)
      throw new Error(`could not read the journal segment ${segment.file}`, { cause: error })
    })
    if (!bytes) {
      // A person emptied the file. Its process continues at the start, perhaps already past this position.
      from = start
      bytes = (await read(segment, 0)) as Buffer
    }
    const held = acked.stream === segment.stream ? acked.seq : 0
    const lines: Line[] = []
    let size = 0
    for (const line of readLines(bytes, streamPrefix(segment.written))) {
      if (line.seq <= held) continue
      const previous = lines.at(-1)
      size += line.bytes.length
      if (previous && (line.seq !== previous.seq + 1 || lines.length >= most || size > maxBatchBytes)) break
      lines.push(line)
    }
    const [first, last] = [lines[0], lines.at(-1)]
    if (!first || !last) return undefined
    const end = { segment, position: from.position + last.end }
    return { stream: segment.stream, first: first.seq, last: last.seq, body: bodyOf(segment, lines), end }
  }

  return {
    /** The oldest entries that are not acknowledged. Repeated calls return the same ones. */
    async next(): Promise<EntryBatch | 'drained'> {
      for (;;) {
        const [segment, newer] = journal.segments()
        if (!segment) return 'drained'
        const batch = await gather(segment)
        if (batch) return batch
        if (!newer && journal.isLive) return 'drained'
        journal.free(segment)
      }
    },
    /** The server has stored the stream up to `seq`; `next` continues after it. */
    acknowledged({ stream, last, end }: EntryBatch, seq: number) {
      acked = { stream, seq }
      most = Math.min(batchEntries, most + regrownEntries)
      if (seq >= last) at = end
    },
    /** The server lacks entries before the batch; `next` restarts with the oldest entry in the journal. */
    rewind({ stream }: EntryBatch, expected: number) {
      acked = { stream, seq: expected - 1 }
      at = undefined
    },
    /** The batch is too large for the line or a proxy: `next` gives half of it, and later batches grow slowly. */
    halve({ first, last }: EntryBatch) {
      most = Math.ceil((last - first + 1) / 2)
    },
    /** Bytes of the journal that the server has not acknowledged. */
    unshipped: (): number =>
      journal
        .segments()
        .reduce((sum, segment) => sum + segment.bytes - (segment === at?.segment ? at.position : 0), 0),
  }
}

/** The bytes of a segment from a position on; null when no line ends before it any more. */
async function read({ file, bytes }: Segment, position: number): Promise<Buffer | null> {
  await using handle = await open(file)
  const before = Math.min(position, 1)
  const buffer = Buffer.alloc(before + bytes - position)
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, position - before)
  return before === 1 && buffer[0] !== newline ? null : buffer.subarray(before, bytesRead)
}

/** The lines with the ids of the stream that their segment is shipped in. */
function bodyOf({ stream, written }: Segment, lines: readonly Line[]): Buffer {
  const [from, to] = [streamPrefix(written), Buffer.from(streamPrefix(stream))]
  return Buffer.concat(lines.flatMap(({ bytes }) => [to, bytes.subarray(from.length)]))
}

/**
 * The entries in `bytes`, without a last line that is still being written. A line that is no entry, or longer than a
 * batch, as only a damaged disk holds them, is left out: the server sees a gap.
 */
function* readLines(bytes: Buffer, prefix: string): Generator<Line> {
  let end = 0
  for (const line of linesIn(bytes, '')) {
    const start = end
    end += line.length + 1
    const found = line.length < maxBatchBytes && isUtf8(line) && scanEntry(line, prefix)
    if (found && parseJson(line.toString('latin1')) !== undefined)
      yield { seq: found.seq, bytes: bytes.subarray(start, end), end }
  }
}
