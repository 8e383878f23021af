import { createHash } from 'node:crypto'
import { existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { createDraft, makeFolder, syncFolder } from '@tintype/lib/disk.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { faultPoint } from '@tintype/lib/fault.ts'
import { readJsonFile } from '@tintype/lib/json.ts'
import { newline } from '@tintype/lib/telemetry/entry.ts'
import { type Folders, hasEntry, namesIn, type StreamFile, streamFiles } from './files.ts'
import { blockBytes, openIndex } from './lookup.ts'
import { type MergedEntry, merge, openSources, type StreamPart } from './merge.ts'
import type { Count } from './page/api.ts'

/** No line is longer. */
const maxLineBytes = 4 * 2 ** 20

/**
 * Publishes a day: every entry of every stream's journal in the order (effective time, stream, sequence number), its
 * index and its manifest. The same journals give the same bytes. Late entries make the next revision; without new ones
 * the day keeps its revision. The caller owns the folder of days.
 * @returns the day's newest manifest, or undefined when the day has no entries.
 * @throws ExpectedError when the journals lost entries of the newest revision, which a partial one must not supersede.
 */
export async function publish({ streams, days }: Folders, day: string): Promise<Manifest | undefined> {
  const files = streamFiles(join(streams, day))
  const newest = newestManifest(days, day)
  // A revision whose file a person removed is written again.
  const isThere = newest && existsSync(dayFile(days, newest))
  if (newsOf(files, isThere ? newest : undefined).length === 0) return newest
  const sizes = new Map(files.map(({ stream, file }) => [stream, statSync(file).size]))
  const gone = newest?.streams.find(({ stream, journalBytes }) => (sizes.get(stream) ?? 0) < journalBytes)
  if (gone) throw new ExpectedError(`entries of ${gone.stream} are gone from the journals of ${day}`)
  makeFolder(days)
  const draftOf = (kind: string) => join(days, `.${day}.${kind}.draft`)
  const draft = { file: draftOf('ndjson'), index: draftOf('index'), manifest: draftOf('manifest') }
  Object.values(draft).forEach(createDraft)
  const revision = { day, revision: isThere ? newest.revision + 1 : (newest?.revision ?? 1) }
  const manifest = await writeDraft(draft, files, revision).catch(error => {
    // On a full disk the drafts would keep the room that everything else needs.
    for (const file of Object.values(draft)) rmSync(file, { force: true })
    throw error
  })
  renameSync(draft.file, dayFile(days, manifest))
  faultPoint('publish.renamed')
  renameSync(draft.index, indexFile(days, manifest))
  await syncFolder(days)
  faultPoint('publish.before-manifest')
  // The manifest comes last, when the other files are durable: it makes them a revision.
  renameSync(draft.manifest, manifestFile(days, manifest))
  faultPoint('publish.manifest-renamed')
  await syncFolder(days)
  faultPoint('publish.done')
  return manifest
}

/** The files of a day that have entries which the revision lacks, and where these begin. */
export function newsOf(files: StreamFile[], newest?: Manifest): { file: string; from: number }[] {
  const read = new Map(newest?.streams.map(({ stream, journalBytes }) => [stream, journalBytes]))
  return files
    .map(({ stream, file }) => ({ stream, file, from: read.get(stream) ?? 0 }))
    .filter(({ stream, file, from }) => statSync(file).size > from && hasEntry(file, stream, from))
}

async function writeDraft(
  draft: Record<'file' | 'index' | 'manifest', string>,
  files: StreamFile[],
  revision: Revision,
): Promise<Manifest> {
  await using file = await open(draft.file, 'w')
  await using index = await open(draft.index, 'w')
  const out = writer(file.fd, index.fd)
  const sessions = countSessions()
  const sources = openSources(files)
  for (const entry of merge(sources)) {
    out.add(entry)
    sessions.add(entry)
    countEntry(entry)
  }
  const written = out.close()
  faultPoint('publish.merged')
  await Promise.all([file.sync(), index.sync()])
  const streams = sources.map(({ part }) => part).filter(({ entries }) => entries > 0)
  const entries = streams.reduce((sum, each) => sum + each.entries, 0)
  const manifest = { ...revision, entries, ...written, streams, sessions: sessions.sizes() }
  writeFileSync(draft.manifest, `${JSON.stringify(manifest, null, 1)}\n`, { flush: true })
  return manifest
}

/** Hashes and writes a day in blocks. It waits for the disk: nothing else runs in the process of a publish. */
function writer(fd: number, indexFd: number) {
  const hash = createHash('sha256')
  const index = openIndex(indexFd)
  const block = Buffer.allocUnsafe(blockBytes + maxLineBytes)
  let filled = 0
  let [bytes, blocks] = [0, 0]
  const endBlock = () => {
    const whole = block.subarray(0, filled)
    hash.update(whole)
    writeFileSync(fd, whole)
    index.endBlock(bytes)
    bytes += filled
    filled = 0
    blocks++
  }
  return {
    add({ line, idEnd }: MergedEntry) {
      index.add(line, idEnd + 1)
      filled += line.copy(block, filled)
      block[filled++] = newline
      if (filled >= blockBytes) endBlock()
    },
    close() {
      if (filled > 0) endBlock()
      return { bytes, sha256: hash.digest('hex'), blocks }
    },
  }
}

function countEntry({ seq, line, source: { part } }: MergedEntry): void {
  if (part.entries === 0) part.first = seq
  else if (seq !== part.last + 1) part.missing.push([part.last + 1, seq - 1])
  part.last = seq
  part.entries++
  part.bytes += line.length + 1
}

type Revision = { day: string; revision: number }

/** The `.manifest.json` of a published revision. It is written last: without it there is no revision. */
export type Manifest = Revision & {
  entries: number
  bytes: number
  sha256: string
  streams: StreamPart[]
  sessions: ReturnType<ReturnType<typeof countSessions>['sizes']>
  /** Blocks in the index. Manifests of older versions do not have it: their days are searched line by line. */
  blocks?: number
}

const fileOf =
  (kind: string) =>
  (folder: string, { day, revision }: Revision): string =>
    join(folder, `${day}.r${revision}.${kind}`)

export const dayFile = fileOf('ndjson')
export const indexFile = fileOf('index')
export const manifestFile = fileOf('manifest.json')

/** The newest revision of each published day, oldest day first. */
export const newestManifests = (folder: string): Manifest[] =>
  [...newestRevisions(folder).keys()].sort().flatMap(day => newestManifest(folder, day) ?? [])

const sample = { entries: 0, bytes: 0, streams: [{ stream: '', journalBytes: 0 }], sessions: {} }

/** A day's newest revision with a manifest that can be read. The next publish writes a damaged revision anew. */
export function newestManifest(folder: string, day: string): Manifest | undefined {
  for (let revision = newestRevisions(folder).get(day) ?? 0; revision > 0; revision--) {
    const manifest = readJsonFile<Manifest>(manifestFile(folder, { day, revision }), sample)
    if (manifest) return manifest
  }
}

export function newestRevisions(folder: string): Map<string, number> {
  const newest = new Map<string, number>()
  for (const name of namesIn(folder)) {
    const [, day, revision] = /^(\d{4}-\d\d-\d\d)\.r(\d+)\.manifest\.json$/.exec(name) ?? []
    if (day) newest.set(day, Math.max(newest.get(day) ?? 0, Number(revision)))
  }
  return newest
}

/** Limits the memory of a publish: above it every second session is counted, then every fourth, … */
const maxSessions = 200_000
const largestShown = 5

/** Counts a day's entries by session as the merge passes. */
function countSessions() {
  const counts = new Map<string, Count>()
  let share = 1
  const isCounted = (session: string) => share === 1 || Number.parseInt(session.slice(-8), 16) % share === 0

  return {
    add({ session, line }: MergedEntry): void {
      if (session === undefined || !isCounted(session)) return
      const bytes = line.length + 1
      const known = counts.get(session)
      if (known) {
        known.entries++
        known.bytes += bytes
      } else counts.set(session, { entries: 1, bytes })
      if (counts.size <= maxSessions) return
      share *= 2
      for (const each of counts.keys()) if (!isCounted(each)) counts.delete(each)
    },
    /** Of the bytes that one session's entries take in a day. */
    sizes() {
      const sorted = [...counts].sort(([a, { bytes }], [b, more]) => more.bytes - bytes || (a < b ? -1 : 1))
      const quantile = (q: number) => sorted[Math.floor((1 - q) * sorted.length)]?.[1].bytes ?? 0
      return {
        count: sorted.length * share,
        p50: quantile(0.5),
        p99: quantile(0.99),
        largest: sorted.slice(0, largestShown).map(([session, count]) => ({ session, ...count })),
        /** 1: every session was counted; less: this share of them, chosen by its digits, so the rest are estimates. */
        sampled: 1 / share,
      }
    },
  }
}
