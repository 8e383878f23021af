import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { giveToOwner, syncFolder } from '../disk.ts'
import { errorCode } from '../errors.ts'
import { faultPoint } from '../fault.ts'
import { countLimit, limits } from '../limits.ts'
import { epochOf, sourceOf } from './entry.ts'
import { ownFolder } from './own.ts'

/** Entries survive kill -9 at once. A power cut can lose those of the last 50 ms and of an fsync in progress. */
const syncWithinMs = 50
/** Shipped entries are freed in units of this size. */
const segmentBytes = 4 * 2 ** 20
/** Pause after a folder could not be opened. */
const reopenAfterMs = 1_000

/** `stream`: the stream that its entries are shipped in. `written`: the stream in the ids of its lines. */
export type Segment = { file: string; stream: string; written: string; first: number; bytes: number }

/** A journal, as shipping needs it. */
export type ShippableJournal = Omit<ReturnType<typeof openJournal>, 'append' | 'close'>

/** `torn`: after the segment's bytes the file may hold a part of a line, which a failed write left. */
type Writing = { segment: Segment; fd: number; torn: boolean }
type Folder = ReturnType<typeof openFolder>

const sync = promisify(fs.fdatasync)
const closeFile = promisify(fs.close)

/** Gets errors that the journal and its shipping survive. */
export type OnTrouble = (error: unknown) => void

/**
 * The local journal of one process: append-only segments below `root`/service.instance, with a new epoch at each start.
 * Opened by the first append, so that a missing disk costs entries and does not stop the service.
 */
export function openJournal(root: string, name: string, onTrouble: OnTrouble) {
  let folder: Folder | undefined
  let writing: Writing | undefined
  let seq = 0
  let segments: Segment[] = []
  let listener = () => {}
  let timer: NodeJS.Timeout | undefined
  let syncing = Promise.resolve()
  let reopenAt = 0

  const open = (): Folder => {
    if (performance.now() < reopenAt)
      throw new Error(`journal ${root} could not be opened; the next try follows within a second`)
    reopenAt = performance.now() + reopenAfterMs
    const opened = openFolder(root, name)
    segments = opened.segments
    seq = 0
    return opened
  }

  const later = (action: () => Promise<void>) => {
    syncing = syncing.then(action).catch(onTrouble)
  }
  const retire = ({ fd }: Writing) => later(() => sync(fd).finally(() => closeFile(fd)))

  const leave = (openAgainAt: number) => {
    reopenAt = openAgainAt
    if (writing) retire(writing)
    folder?.release()
    writing = folder = undefined
  }

  const rotate = (into: Folder): Writing => {
    const held = segments.reduce((sum, segment) => sum + segment.bytes, 0)
    if (held >= limits.journalHeld.value) {
      countLimit('journalHeld')
      throw new Error(`journal ${into.path} is full: ${held} bytes are not shipped yet`)
    }
    const { stream } = writing?.segment ?? into
    const segment = { stream, written: into.stream, first: seq + 1, bytes: 0 }
    const file = join(into.path, nameOf(segment))
    const next = { segment: { ...segment, file }, fd: fs.openSync(file, 'ax'), torn: false }
    giveToOwner(file)
    if (writing) retire(writing)
    later(() => syncFolder(into.path))
    segments.push(next.segment)
    return next
  }

  const syncSoon = () => {
    timer ??= setTimeout(() => {
      timer = undefined
      const synced = writing
      if (!synced) return
      const { fd, segment } = synced
      later(async () => {
        await sync(fd)
        // Somebody removed or renamed the file: the next append begins a new one.
        const there = fs.statSync(segment.file, { throwIfNoEntry: false })
        if (synced === writing && fs.fstatSync(fd).ino !== there?.ino) leave(0)
      })
    }, syncWithinMs).unref()
  }

  return {
    /** Segments that are not yet freed, oldest first. */
    segments: (): readonly Segment[] => segments,
    /** Whether the last segment is being written. */
    isLive: true as boolean,
    /** Removes a segment that the log server has acknowledged. */
    free(segment: Segment): void {
      fs.rmSync(segment.file, { force: true })
      segments = segments.filter(each => each !== segment)
    },
    onAppend(given: () => void): void {
      listener = given
    },
    /**
     * Writes the line that `render` gives for the next id. It survives kill -9 when this returns.
     * @throws when the disk refuses the write; the id is then used for the next entry.
     */
    append(render: (id: string) => string): void {
      folder ??= open()
      try {
        if (!writing || writing.segment.bytes >= segmentBytes) writing = rotate(folder)
      } catch (error) {
        // Somebody removed the folder: the next append begins a new one.
        if (errorCode(error) === 'ENOENT') leave(0)
        throw error
      }
      const line = Buffer.from(render(`${folder.stream}.${seq + 1}`))
      writeWhole(writing, line)
      faultPoint('journal.written')
      seq++
      syncSoon()
      listener()
    },
    async close(): Promise<void> {
      clearTimeout(timer)
      leave(Infinity)
      await syncing
    },
  }
}

/** Writes the complete line or nothing: a part written to a full disk is removed before the next line. */
function writeWhole(writing: Writing, line: Buffer): void {
  const { fd, segment } = writing
  if (writing.torn) fs.ftruncateSync(fd, segment.bytes)
  writing.torn = true
  const written = fs.writeSync(fd, line)
  if (written < line.length) throw new Error(`only ${written} of ${line.length} bytes were written`)
  writing.torn = false
  segment.bytes += line.length
}

/** Takes the first instance that no live process owns, and begins a new epoch. `segments`: those of earlier epochs. */
function openFolder(root: string, name: string) {
  for (let n = 1; n <= limits.journals.value; n++) {
    const source = n === 1 ? name : `${name}-${n}`
    const path = join(root, source)
    const release = ownFolder(path)
    if (release === 'taken') continue
    try {
      const segments = findSegments(path, source)
      // At least the current time, so that no epoch repeats after the folder was lost.
      const epoch = Math.max(newestEpoch(segments) + 1, Math.floor(Date.now() / 1000))
      return { path, stream: `${source}.${epoch}`, release, segments }
    } catch (error) {
      release()
      throw error
    }
  }
  countLimit('journals')
  throw new Error(`all ${limits.journals.value} journals of ${name} below ${root} are in use`)
}

/** A segment's file name: epoch, first sequence number, and the epoch in its lines if that differs. */
const segmentName = /^(\d+)\.(\d+)(?:\.(\d+))?\.ndjson$/
const nameOf = ({ first, stream, written }: Omit<Segment, 'file'>): string =>
  `${epochOf(stream)}.${first}${written === stream ? '' : `.${epochOf(written)}`}.ndjson`
const newestEpoch = (segments: readonly Segment[]): number =>
  Math.max(0, ...segments.map(({ stream }) => epochOf(stream)))

/**
 * Another process ships the stream `taken`: its segments are shipped with a later epoch, also after a restart. The last
 * segment is renamed first: if this process is killed in between, the server still refuses the earlier ones.
 */
export function renameSegments(segments: readonly Segment[], taken: string): void {
  const stream = `${sourceOf(taken)}.${newestEpoch(segments) + 1}`
  for (const segment of segments.filter(({ stream }) => stream === taken).toReversed()) {
    const before = segment.file
    segment.stream = stream
    segment.file = join(dirname(before), nameOf(segment))
    fs.renameSync(before, segment.file)
  }
}

/** The segments in a folder, oldest first. One may end in a part of a line, which a killed process left; it is not shipped. */
export const findSegments = (path: string, source: string): Segment[] =>
  fs
    .readdirSync(path)
    .flatMap(name => {
      const [, epoch, first, written = epoch] = segmentName.exec(name) ?? []
      const file = join(path, name)
      // The process that ships it may remove it.
      const stats = fs.statSync(file, { throwIfNoEntry: false })
      if (epoch === undefined || !stats) return []
      const streams = { stream: `${source}.${epoch}`, written: `${source}.${written}` }
      return { file, ...streams, first: Number(first), bytes: stats.size }
    })
    .sort((a, b) => epochOf(a.stream) - epochOf(b.stream) || a.first - b.first)
