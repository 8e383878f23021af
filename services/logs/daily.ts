import { createHash } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '@tintype/lib/disk.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { faultPoint } from '@tintype/lib/fault.ts'
import { foldersOf, storageUrl } from '@tintype/lib/storage/index.ts'
import { hasEntry } from './files.ts'
import { eachKey, writeLookup } from './lookup.ts'
import { dayFile, indexFile, type Manifest, manifestFile, newestManifest, type Revision } from './manifest.ts'
import { merge, openSources, type StreamFile, type StreamSource, streamFiles } from './merge.ts'
import { statistics } from './statistics.ts'

/** Written at once; no line is longer. */
const outBytes = 4 * 2 ** 20

export type Folders = ReturnType<typeof foldersIn>

/** `storage`: STORAGE_URL. */
export const foldersIn = (dataDir: string, storage = '') => ({
  streams: join(dataDir, 'logs', 'streams'),
  days: join(dataDir, 'logs', 'days'),
  journals: join(dataDir, 'logs', 'journal'),
  /** How full the disk was, day by day. */
  samples: join(dataDir, 'logs', 'disk.json'),
  /** The disk that fills up: where the photos are, or the logs when photos are in a bucket. */
  photos: foldersOf(storageUrl(storage, dataDir))[0] ?? dataDir,
})

/**
 * Publishes a day: every entry of every stream's journal in the order (effective time, stream, sequence number),
 * its index and its manifest. The same journals give the same bytes; what came late makes the next revision, and
 * a day with nothing new keeps the one it has. The caller owns the folder of days.
 * @returns the day's newest manifest, or undefined when there are no entries of that day.
 * @throws ExpectedError when the journals lost entries of the newest revision: a part of the day must not supersede it.
 */
export async function publish({ streams, days }: Folders, day: string): Promise<Manifest | undefined> {
  const files = streamFiles(join(streams, day))
  const newest = newestManifest(days, day)
  if (newsOf(files, newest).length === 0) return newest
  const sizes = new Map(files.map(({ stream, file }) => [stream, statSync(file).size]))
  const gone = newest?.streams.find(({ stream, journalBytes }) => (sizes.get(stream) ?? 0) < journalBytes)
  if (gone) throw new ExpectedError(`entries of ${gone.stream} are gone from the journals of ${day}`)
  mkdirSync(days, { recursive: true })
  const draft = { file: join(days, `.${day}.draft`), index: join(days, `.${day}.index.draft`) }
  const discard = () => {
    for (const file of Object.values(draft)) rmSync(file, { force: true })
  }
  const revision = { day, revision: (newest?.revision ?? 0) + 1 }
  const manifest = await writeDraft(draft, files, revision).catch(error => {
    discard() // on a full disk it would take the room that everything else needs
    throw error
  })
  renameSync(draft.file, dayFile(days, manifest))
  faultPoint('publish.renamed')
  renameSync(draft.index, indexFile(days, manifest))
  await syncFolder(days)
  // The manifest is written last, when the other files are durable: it makes them a revision.
  const manifestDraft = `${draft.file}.manifest`
  writeFileSync(manifestDraft, `${JSON.stringify(manifest, null, 1)}\n`, { flush: true })
  faultPoint('publish.before-manifest')
  renameSync(manifestDraft, manifestFile(days, manifest))
  faultPoint('publish.manifest-renamed')
  await syncFolder(days)
  faultPoint('publish.done')
  return manifest
}

/** The files of a day with more entries than a revision has, and where these begin. */
export function newsOf(files: StreamFile[], newest?: Manifest): { file: string; from: number }[] {
  const read = new Map(newest?.streams.map(({ stream, journalBytes }) => [stream, journalBytes]))
  return files
    .map(({ stream, file }) => ({ stream, file, from: read.get(stream) ?? 0 }))
    .filter(({ stream, file, from }) => statSync(file).size > from && hasEntry(file, stream, from))
}

async function writeDraft(
  draft: { file: string; index: string },
  files: StreamFile[],
  revision: Revision,
): Promise<Manifest> {
  await using file = await open(draft.file, 'w')
  await using indexFile = await open(draft.index, 'w')
  const out = writer(file)
  const lookup = writeLookup(indexFile.fd)
  const counts = statistics()
  const sources = openSources(files)
  for (const source of merge(sources)) {
    const bytes = source.end + 1 - source.start
    eachKey(source, (start, end) => lookup.add(source.buffer, start, end, out.bytes()))
    if (!out.hasRoomFor(bytes)) await out.flush()
    out.add(source.buffer, source.start, source.end + 1)
    counts.add(source, bytes)
    count(source, bytes)
  }
  const sha256 = await out.close()
  const blocks = lookup.close()
  faultPoint('publish.merged')
  await Promise.all([file.sync(), indexFile.sync()])
  const streams = sources.map(({ part }) => part).filter(({ entries }) => entries > 0)
  return {
    ...revision,
    entries: streams.reduce((sum, { entries }) => sum + entries, 0),
    bytes: out.bytes(),
    sha256,
    streams,
    ...counts.result(),
    blocks,
  }
}

/** Buffers, hashes and writes. One of two buffers is written while the other fills. */
function writer(file: FileHandle) {
  const hash = createHash('sha256')
  let filling = Buffer.allocUnsafe(outBytes)
  let spare = Buffer.allocUnsafe(outBytes)
  let filled = 0
  let flushed = 0
  let writing = Promise.resolve()
  const flush = async () => {
    const bytes = filling.subarray(0, filled)
    hash.update(bytes)
    await writing
    writing = file.writeFile(bytes)
    // Awaited by the next flush; until then a rejection must not count as unhandled.
    writing.catch(() => {})
    ;[filling, spare] = [spare, filling]
    flushed += filled
    filled = 0
  }
  return {
    hasRoomFor: (bytes: number) => filled + bytes <= filling.length,
    add(bytes: Buffer, start: number, end: number) {
      filled += bytes.copy(filling, filled, start, end)
    },
    flush,
    bytes: () => flushed + filled,
    async close() {
      await flush()
      await writing
      return hash.digest('hex')
    },
  }
}

function count({ part, head: { seq } }: StreamSource, bytes: number): void {
  if (part.entries === 0) part.first = seq
  else if (seq !== part.last + 1) part.missing.push([part.last + 1, seq - 1])
  part.last = seq
  part.entries++
  part.bytes += bytes
}
