import { fdatasyncSync, statSync } from 'node:fs'
import { linesIn } from '@tintype/lib/lines.ts'
import { type Scanned, scanEntry, streamPrefix } from '@tintype/lib/telemetry/entry.ts'
import { chunksOf, opened, type StreamFile } from './files.ts'
import { effectiveAt } from './stamp.ts'

/** Size of all streams' read buffers together, which limits the memory of a merge. */
const buffersBytes = 64 * 2 ** 20
const maxBufferBytes = 2 ** 20

/** Sequence numbers, both inclusive. */
export type Range = [first: number, last: number]
/** A stream's part of a revision, as in its manifest. */
export type StreamPart = ReturnType<typeof partOf>
type StreamSource = { part: StreamPart; order: number; entries: Generator<MergedEntry, void> }
/** `line`, without its newline, is valid until the next entry of its source. */
export type MergedEntry = Scanned & { line: Buffer; effectiveMs: number; source: StreamSource }

/** The files of a day, before their first entries. */
export function openSources(files: StreamFile[]): StreamSource[] {
  const size = Math.min(maxBufferBytes, Math.floor(buffersBytes / files.length))
  return files.map((each, order) => openSource(each, order, size))
}

function openSource({ stream, file }: StreamFile, order: number, size: number): StreamSource {
  // A published entry must be as durable in its journal as in the revision.
  using open = opened(file)
  fdatasyncSync(open.fd)
  const chunks = chunksOf(file, 0, size, statSync(file).size)
  const [part, prefix] = [partOf(stream), streamPrefix(stream)]
  const source: StreamSource = { part, order, entries: entries() }
  function* entries(): Generator<MergedEntry, void> {
    for (const chunk of chunks) {
      part.journalBytes += chunk.length
      for (const line of linesIn(chunk, '')) {
        const head = scanEntry(line, prefix)
        if (head) yield { ...head, line, effectiveMs: effectiveAt(line, head.timestampMs), source }
        else part.unreadable++
      }
    }
  }
  return source
}

const partOf = (stream: string) => ({
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
})

/**
 * Merges files that are already in the order (effective time, stream, sequence number). A k-way merge, whose memory does
 * not grow with the entries.
 */
export function* merge(sources: StreamSource[]): Generator<MergedEntry> {
  // A heap, because there may be thousands of streams: no entry is after the two at twice its index and 1 or 2 more.
  const heap = sources
    .flatMap(({ entries }) => entries.next().value ?? [])
    .sort((a, b) => (isBefore(a, b) ? -1 : 1))
  for (let first = heap[0]; first; first = heap[0]) {
    yield first
    const next = first.source.entries.next().value ?? (heap.pop() as MergedEntry)
    if (heap.length > 0) replaceFirst(heap, next)
  }
}

function replaceFirst(heap: MergedEntry[], entry: MergedEntry): void {
  const isEarlier = (a: number, b: number) => isBefore(heap[a] as MergedEntry, heap[b] as MergedEntry)
  let at = 0
  heap[at] = entry
  for (let child = 1; child < heap.length; child = 2 * at + 1) {
    if (child + 1 < heap.length && isEarlier(child + 1, child)) child++
    if (!isEarlier(child, at)) return
    heap[at] = heap[child] as MergedEntry
    heap[child] = entry
    at = child
  }
}

const isBefore = (a: MergedEntry, b: MergedEntry): boolean =>
  a.effectiveMs < b.effectiveMs || (a.effectiveMs === b.effectiveMs && a.source.order < b.source.order)
