import { constants, mkdirSync } from 'node:fs'
import { appendFile, type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ignore, syncFolder } from '@tintype/lib/disk.ts'
import { faultPoint } from '@tintype/lib/fault.ts'
import { limits } from '@tintype/lib/limits.ts'
import { startPulse } from '@tintype/lib/pulse.ts'
import { newline, scanEntry, streamPrefix } from '@tintype/lib/telemetry/entry.ts'
import { type Clock, dayOf, effectiveAt, effectiveMs, type Line, readBatch, stamp } from './stamp.ts'

/** More than one append: all that a power cut can have left in disorder at a file's end. */
const recoverBytes = 8 * 2 ** 20
/** An append is a write and an fsync: when none ends for so long, the disk hangs. */
const stalledSeconds = 60

export type Appended =
  /** Everything up to `acked` is durable; `appended` of the batch were new, `bytes` in the file, the newest of `newestMs`. */
  | { acked: number; appended: number; bytes: number; newestMs: number }
  | { expected: number }
  | { malformed: string }
  /** This day has as many streams as it may. */
  | { full: string }

export type Batch = {
  body: Buffer
  clock: Clock
  /** The sender holds nothing older than this batch: a gap before it will never be filled. */
  oldest: boolean
}

export type Journal = {
  /**
   * Appends what of a batch is new, in order; durable when it resolves.
   * @throws when the disk refuses: nothing of it counts then, and the sender shall try again.
   */
  append(stream: string, batch: Batch): Promise<Appended>
  /** Removes a stream's file of a day; if its highest entry is in it, that line stays among the `marks`. */
  forget(stream: string, day: string): Promise<void>
  /** That appends are under way and none has ended for too long, or null. */
  stalled(): string | null
  close(): Promise<void>
}

/** Stands for a day: the last lines of streams whose files were removed. */
export const marks = 'marks'

/** Whole up to `size`, its last entry of `effectiveMs`. `torn`: more may be behind that. */
type File = { path: string; day: string; size: number; effectiveMs: number; torn: boolean }
/**
 * `mark`: the highest entry that is whole in the stream's files, its high-water mark; there is no second ledger.
 * `file`: the one that is appended to.
 */
type Stream = { turn: Promise<unknown>; waiting: number; mark: number; file: File | undefined }

/** The server's own journal: one append-only file a day and stream, `folder`/DAY/STREAM.ndjson. */
export function openJournal(folder: string): Journal {
  mkdirSync(folder, { recursive: true })
  const streams = new Map<string, Stream>()
  const pulse = startPulse('the journal', stalledSeconds)
  pulse.rest()
  let waiting = 0

  const append = async (name: string, stream: Stream, lines: Line[], batch: Batch): Promise<Appended> => {
    if (!stream.file) Object.assign(stream, await recover(folder, name))
    const { mark } = stream
    const [first, last] = [lines[0]?.seq ?? 0, lines.at(-1)?.seq ?? 0]
    if (last <= mark) return { acked: mark, appended: 0, bytes: 0, newestMs: 0 }
    if (first > mark + 1 && !batch.oldest) return { expected: mark + 1 }
    const fresh = first > mark ? lines : lines.slice(mark + 1 - first)
    let bytes = 0
    for (let rest = fresh; rest[0]; ) {
      const day = dayOf(effectiveMs(rest[0].timestampMs, batch.clock, stream.file?.effectiveMs ?? 0))
      if (stream.file?.day !== day) {
        // What was not acknowledged comes again, now into another file.
        if (stream.file?.torn) await write(stream.file, Buffer.alloc(0))
        stream.file = await create(folder, day, name)
        if (!stream.file) return { full: day }
      }
      const run = stamp(batch.body, rest, batch.clock, stream.file.effectiveMs)
      await write(stream.file, run.bytes)
      bytes += run.bytes.length
      stream.mark = run.last
      stream.file.effectiveMs = run.effectiveMs
      rest = rest.slice(run.count)
    }
    return { acked: last, appended: fresh.length, bytes, newestMs: stream.file?.effectiveMs ?? 0 }
  }

  const forget = async (name: string, day: string, stream: Stream) => {
    const { file } = await recover(folder, name)
    if (file?.day === day && day !== marks) await keepMark(folder, name, file)
    await rm(join(folder, day, `${name}.ndjson`), { force: true })
    stream.file = undefined
  }

  /** Of one stream one after the other. */
  const inTurn = async <T>(name: string, action: (stream: Stream) => Promise<T>): Promise<T> => {
    const stream = streams.get(name) ?? { turn: Promise.resolve(), waiting: 0, mark: 0, file: undefined }
    streams.set(name, stream)
    stream.waiting++
    if (waiting++ === 0) pulse.beat()
    const result = stream.turn.then(() => action(stream))
    const ended = () => {
      pulse.beat()
      if (--waiting === 0) pulse.rest()
      if (--stream.waiting === 0 && !stream.file) streams.delete(name)
    }
    stream.turn = result.then(ended, ended)
    return result
  }

  return {
    async append(name, batch) {
      const lines = readBatch(batch.body, name)
      if (typeof lines === 'string') return { malformed: lines }
      return inTurn(name, stream => append(name, stream, lines, batch))
    },
    forget: (name, day) => inTurn(name, stream => forget(name, day, stream)),
    stalled: pulse.stalled,
    async close() {
      await Promise.all([...streams.values()].map(({ turn }) => turn))
    },
  }
}

/** After a failed write or fsync the file's end is not to be trusted: it is cut to what is known to be durable. */
async function write(file: File, bytes: Buffer): Promise<void> {
  await using handle = await open(file.path, constants.O_APPEND | constants.O_RDWR)
  if (file.torn) await handle.truncate(file.size)
  file.torn = true
  faultPoint('ingest.before-append')
  for (let done = 0; done < bytes.length; )
    done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten
  faultPoint('ingest.appended')
  await handle.datasync()
  faultPoint('ingest.synced')
  file.size += bytes.length
  file.torn = false
}

/** The file is there for good before an entry in it is acknowledged; undefined when the day has too many. */
async function create(folder: string, day: string, name: string): Promise<File | undefined> {
  const path = join(folder, day)
  const file = `${name}.ndjson`
  await mkdir(path, { recursive: true })
  const names = await readdir(path)
  if (names.length >= limits.logStreams.value && day !== marks && !names.includes(file)) return undefined
  await appendFile(join(path, file), '')
  await syncFolder(path)
  await syncFolder(folder)
  return (await look(folder, day, name)).file
}

/** Where a stream stands: at the highest entry of all its files; what follows that line in its file is cut. */
async function recover(folder: string, name: string): Promise<{ mark: number; file: File | undefined }> {
  let highest: { mark: number; file: File | undefined } = { mark: 0, file: undefined }
  for (const day of await readdir(folder)) {
    const found = await look(folder, day, name).catch(ignore('ENOENT', 'ENOTDIR'))
    if (found && found.mark > highest.mark) highest = found
  }
  // What is acknowledged as already here must be as durable as what is appended; its folders are, by `create`.
  if (highest.file) await write(highest.file, Buffer.alloc(0))
  return highest
}

async function look(folder: string, day: string, name: string): Promise<{ mark: number; file: File }> {
  const path = join(folder, day, `${name}.ndjson`)
  await using handle = await open(path)
  const { mark, size, effectiveMs } = await lastWholeLine(handle, name)
  return { mark, file: { path, day, size, effectiveMs, torn: true } }
}

async function lastWholeLine(handle: FileHandle, name: string) {
  const prefix = streamPrefix(name)
  const { size } = await handle.stat()
  const from = Math.max(0, size - recoverBytes)
  const bytes = Buffer.alloc(size - from)
  await handle.read(bytes, 0, bytes.length, from)
  const found = { size: from, mark: 0, effectiveMs: 0, line: Buffer.alloc(0) }
  // A zero is where a power cut left a hole: no entry has one.
  const hole = bytes.indexOf(0)
  let start = from === 0 ? 0 : bytes.indexOf(newline) + 1
  for (let end = bytes.indexOf(newline, start); end >= 0; end = bytes.indexOf(newline, start)) {
    const scanned = scanEntry(bytes, start, end, prefix)
    if (!scanned || scanned.seq <= found.mark || (hole >= 0 && hole < end)) break
    const effectiveMs = effectiveAt(bytes, end, scanned.timestampMs)
    const line = bytes.subarray(start, end + 1)
    Object.assign(found, { size: from + end + 1, mark: scanned.seq, effectiveMs, line })
    start = end + 1
  }
  if (from > 0 && found.mark === 0) throw new Error(`the journal of ${name} has no whole line near its end`)
  return found
}

/** The last line is durable among the marks before the file that it stands in goes. */
async function keepMark(folder: string, name: string, { path }: File): Promise<void> {
  await using handle = await open(path)
  const { line } = await lastWholeLine(handle, name)
  const kept = await create(folder, marks, name)
  if (kept) await write(kept, line)
}
