import { createHash } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { faultPoint } from '@tintype/lib/fault.ts'
import { eachKey, writeLookup, writeWhole } from './lookup.ts'
import {
  dayFile,
  indexFile,
  type Manifest,
  manifestFile,
  newestManifest,
  type Range,
  type StreamPart,
} from './manifest.ts'
import { merge, type Source, streamFiles } from './merge.ts'
import { statistics } from './statistics.ts'

/** Written at once. */
const outBytes = 4 * 2 ** 20

export type Folders = { streams: string; days: string; journals: string }

export const foldersIn = (dataDir: string): Folders => ({
  streams: join(dataDir, 'logs', 'streams'),
  days: join(dataDir, 'logs', 'days'),
  journals: join(dataDir, 'logs', 'journal'),
})

/**
 * Publishes a day: every entry of every stream's journal in the order (effective time, stream, sequence number),
 * its index and its manifest. The same journals give the same bytes; what came late makes the next revision, and
 * a day with nothing new keeps the one it has. The caller owns the folder of days.
 * @returns the day's newest manifest, or undefined when there are no entries of that day.
 */
export function publish({ streams, days }: Folders, day: string): Manifest | undefined {
  const files = streamFiles(join(streams, day))
  const newest = newestManifest(days, day)
  if (files.length === 0 || (newest && !hasNews(files, newest))) return newest
  mkdirSync(days, { recursive: true })
  const draft = { file: join(days, `.${day}.draft`), index: join(days, `.${day}.index.draft`) }
  const revision = (newest?.revision ?? 0) + 1
  const manifest = writeDraft(draft, files, { day, revision })
  if (manifest.entries === 0 || manifest.sha256 === newest?.sha256) {
    rmSync(draft.file)
    rmSync(draft.index)
    return newest
  }
  renameSync(draft.file, dayFile(days, manifest))
  faultPoint('publish.renamed')
  renameSync(draft.index, indexFile(days, manifest))
  syncFolder(days)
  // The manifest makes it a revision: it comes when all else is durable under its name.
  const manifestDraft = `${draft.file}.manifest`
  writeFileSync(manifestDraft, `${JSON.stringify(manifest, null, 1)}\n`, { flush: true })
  faultPoint('publish.before-manifest')
  renameSync(manifestDraft, manifestFile(days, manifest))
  syncFolder(days)
  faultPoint('publish.done')
  return manifest
}

/** Whether a stream's journal is longer than what the newest revision was made of. */
export function hasNews(files: { stream: string; file: string }[], newest: Manifest): boolean {
  const read = new Map(newest.streams.map(({ stream, journalBytes }) => [stream, journalBytes]))
  return files.some(({ stream, file }) => statSync(file).size > (read.get(stream) ?? 0))
}

function writeDraft(
  draft: { file: string; index: string },
  files: { stream: string; file: string }[],
  { day, revision }: { day: string; revision: number },
): Manifest {
  const fd = openSync(draft.file, 'w')
  const indexFd = openSync(draft.index, 'w')
  try {
    const out = writer(fd)
    const lookup = writeLookup(indexFd)
    const counts = statistics()
    const parts = new Map<Source, StreamPart>()
    let corrected = 0
    let [fromMs, toMs] = [0, 0]
    const sources = merge(files, source => {
      const bytes = source.end + 1 - source.start
      eachKey(source, (start, end) => lookup.add(source.buffer, start, end, out.bytes()))
      out.write(source.buffer, source.start, source.end + 1)
      counts.add(source, bytes)
      addTo(parts, source, bytes)
      if (source.effectiveMs !== source.head.timestampMs) corrected++
      fromMs ||= source.effectiveMs
      toMs = source.effectiveMs
    })
    const sha256 = out.close()
    const index = lookup.close()
    faultPoint('publish.merged')
    fsyncSync(fd)
    fsyncSync(indexFd)
    return {
      day,
      revision,
      entries: parts.values().reduce((sum, part) => sum + part.entries, 0),
      bytes: out.bytes(),
      sha256,
      from: new Date(fromMs).toISOString(),
      to: new Date(toMs).toISOString(),
      corrected,
      streams: sources.flatMap(source => {
        const part = parts.get(source)
        return part ? [{ ...part, journalBytes: source.bytes, unreadable: source.unreadable }] : []
      }),
      ...counts.result(),
      index,
    }
  } finally {
    closeSync(fd)
    closeSync(indexFd)
  }
}

/** Gathers, hashes and writes; memory is one buffer. */
function writer(fd: number) {
  const hash = createHash('sha256')
  let buffer = Buffer.allocUnsafe(outBytes)
  let filled = 0
  let written = 0
  const flush = () => {
    const bytes = buffer.subarray(0, filled)
    hash.update(bytes)
    writeWhole(fd, bytes)
    written += filled
    filled = 0
  }
  return {
    write(bytes: Buffer, start: number, end: number) {
      if (filled + end - start > buffer.length) flush()
      if (end - start > buffer.length) buffer = Buffer.allocUnsafe(end - start)
      filled += bytes.copy(buffer, filled, start, end)
    },
    bytes: () => written + filled,
    close() {
      flush()
      return hash.digest('hex')
    },
  }
}

function addTo(parts: Map<Source, StreamPart>, source: Source, bytes: number): void {
  const { seq } = source.head
  const part = parts.get(source)
  if (!part) {
    const { stream } = source
    parts.set(source, {
      stream,
      first: seq,
      last: seq,
      entries: 1,
      bytes,
      missing: [],
      journalBytes: 0,
      unreadable: 0,
    })
    return
  }
  if (seq !== part.last + 1) part.missing.push([part.last + 1, seq - 1] satisfies Range)
  part.last = seq
  part.entries++
  part.bytes += bytes
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
