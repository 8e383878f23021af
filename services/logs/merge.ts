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
  // The first entry is the last of the list, so that an insertion moves few of the thousands that there may be.
  const waiting = sources
    .flatMap(({ entries }) => entries.next().value ?? [])
    .sort((a, b) => (isBefore(a, b) ? 1 : -1))
  for (let first = waiting.pop(); first; first = waiting.pop()) {
    yield first
    const next = first.source.entries.next().value
    if (next) waiting.splice(placeIn(waiting, next), 0, next)
  }
}

/** The index of an entry in a list that begins with the last one. */
function placeIn(sorted: MergedEntry[], entry: MergedEntry): number {
  let [from, to] = [0, sorted.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (isBefore(entry, sorted[middle] as MergedEntry)) from = middle + 1
    else to = middle
  }
  return from
}

const isBefore = (a: MergedEntry, b: MergedEntry): boolean =>
  a.effectiveMs < b.effectiveMs || (a.effectiveMs === b.effectiveMs && a.source.order < b.source.order)
