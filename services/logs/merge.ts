import { fdatasyncSync, statSync } from 'node:fs'
import { newline, type Scanned, scanEntry, streamPrefix } from '@tintype/lib/telemetry/entry.ts'
import { chunksOf, opened, type StreamFile } from './files.ts'
import { effectiveAt } from './stamp.ts'

/** Size of all streams' read buffers together, which limits the memory of a merge. */
const buffersBytes = 64 * 2 ** 20
const maxBufferBytes = 2 ** 20

/** The files of a day, before their first entries. */
export function openSources(files: StreamFile[]): StreamSource[] {
  const size = Math.min(maxBufferBytes, Math.floor(buffersBytes / files.length))
  return files.map((each, order) => openSource(each, order, size))
}

/**
 * Merges files that are already in the order (effective time, stream, sequence number), and yields for each entry the
 * source whose current line it is. A k-way merge, whose memory does not grow with the entries.
 */
export function* merge(sources: StreamSource[]): Generator<StreamSource> {
  const waiting = sources.filter(advance).sort((a, b) => (isBefore(a, b) ? -1 : 1))
  for (let first = waiting.shift(); first; first = waiting.shift()) {
    yield first
    if (advance(first)) insert(waiting, first)
  }
}

/** Sequence numbers, both inclusive. */
export type Range = [first: number, last: number]
export type StreamSource = ReturnType<typeof openSource>
/** A stream's part of a revision, as in its manifest. */
export type StreamPart = StreamSource['part']

const nothing: Scanned = { seq: 0, timestampMs: 0, sessionAt: -1, payloadAt: 0 }

/** One stream's file of a day. The merge's current line is buffer[start, end), with its newline at `end`. */
function openSource({ stream, file }: StreamFile, order: number, size: number) {
  // A published entry must be as durable in its journal as in the revision.
  using open = opened(file)
  fdatasyncSync(open.fd)
  return {
    part: {
      stream,
      first: 0,
      last: 0,
      entries: 0,
      bytes: 0,
      /** Missing numbers between first and last. */
      missing: [] as Range[],
      /** Bytes of the file's complete lines. Later ones go into the next revision. */
      journalBytes: 0,
      /** Lines of the journal that are not entries, because this machine's disk damaged them. */
      unreadable: 0,
    },
    chunks: chunksOf(file, 0, size, statSync(file).size),
    buffer: Buffer.alloc(0),
    start: 0,
    end: -1,
    head: nothing,
    effectiveMs: 0,
    prefix: streamPrefix(stream),
    order,
  }
}

/** Moves to the next entry; false when there is none. */
function advance(source: StreamSource): boolean {
  for (;;) {
    source.start = source.end + 1
    source.end = source.buffer.indexOf(newline, source.start)
    if (source.end < 0) {
      const { value } = source.chunks.next()
      if (!value) return false
      source.buffer = value
      source.part.journalBytes += value.length
      continue
    }
    const head = scanEntry(source.buffer, source.start, source.end, source.prefix)
    if (head) {
      source.head = head
      source.effectiveMs = effectiveAt(source.buffer, source.end, head.timestampMs)
      return true
    }
    source.part.unreadable++
  }
}

const isBefore = (a: StreamSource, b: StreamSource): boolean =>
  a.effectiveMs < b.effectiveMs || (a.effectiveMs === b.effectiveMs && a.order < b.order)

/** Inserts a source into a sorted list. Its next entry is later than most others’, so the search begins at the end. */
const insert = (waiting: StreamSource[], source: StreamSource): unknown =>
  waiting.splice(waiting.findLastIndex(each => isBefore(each, source)) + 1, 0, source)
