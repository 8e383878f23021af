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
/** Files kept open; the streams of processes long gone are closed. */
const maxOpenStreams = 256
/** An append is a write and an fsync: when none ends for so long, the disk hangs. */
const stalledSeconds = 60

export type Appended =
  /** Everything up to `acked` is durable; `appended` of the batch were new, `bytes` in the file, the newest of `newestMs`. */
  | { acked: number; appended: number; bytes: number; newestMs: number }
  | { expected: number }
  | { malformed: string }
  /** The day has as many streams as it may. */
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
  /** Removes a stream's file of a day. Is its highest entry there, that line is kept among the `marks`. */
  forget(stream: string, day: string): Promise<void>
  /** That appends are under way and none has ended for too long, or null. */
  stalled(): string | null
  close(): Promise<void>
}

/** Stands for a day: the last lines of streams whose files were removed. What stands there is published no more. */
export const marks = 'marks'

/** A file of a stream, whole up to `size`; its last line begins at `lineAt`. `torn`: more may be behind that. */
type Open = {
  handle: FileHandle
  day: string
  size: number
  lineAt: number
  effectiveMs: number
  torn: boolean
}
/** `mark`: the highest entry that is whole in the stream's files, its high-water mark. There is no second ledger. */
type Stream = { turn: Promise<unknown>; waiting: number; mark: number; open: Open | undefined }

/** The server's own journal: one append-only file a day and stream, `folder`/DAY/STREAM.ndjson. */
export function openJournal(folder: string): Journal {
  mkdirSync(folder, { recursive: true })
  const streams = new Map<string, Stream>()
  const pulse = startPulse('the journal', stalledSeconds)
  pulse.rest()
  let waiting = 0

  const append = async (name: string, stream: Stream, lines: Line[], batch: Batch): Promise<Appended> => {
    if (!stream.open) Object.assign(stream, await recover(folder, name))
    const { mark } = stream
    const [first, last] = [lines[0]?.seq ?? 0, lines.at(-1)?.seq ?? 0]
    if (last <= mark) return { acked: mark, appended: 0, bytes: 0, newestMs: 0 }
    if (first > mark + 1 && !batch.oldest) return { expected: mark + 1 }
    const fresh = first > mark ? lines : lines.slice(mark + 1 - first)
    let bytes = 0
    for (let rest = fresh; rest[0]; ) {
      const { timestampMs } = rest[0]
      const day = dayOf(effectiveMs(timestampMs, batch.clock, stream.open?.effectiveMs ?? 0))
      const file = await fileOf(name, stream, day)
      if (!file) return { full: day }
      const run = stamp(batch.body, rest, batch.clock, file.effectiveMs)
      await write(file, run.bytes)
      bytes += run.bytes.length
      stream.mark = run.last
      file.effectiveMs = run.effectiveMs
      rest = rest.slice(run.count)
    }
    return { acked: last, appended: fresh.length, bytes, newestMs: stream.open?.effectiveMs ?? 0 }
  }

  const fileOf = async (name: string, stream: Stream, day: string): Promise<Open | undefined> => {
    if (stream.open?.day === day) return stream.open
    // What was not acknowledged comes again, maybe into the other file.
    await cut(stream.open)
    const next = await create(folder, day, name)
    if (!next) return undefined
    await stream.open?.handle.close()
    stream.open = next
    return next
  }

  const closeIdle = async () => {
    for (const [name, { waiting, open }] of streams) {
      if (streams.size <= maxOpenStreams) return
      if (waiting > 0 || open?.torn) continue
      streams.delete(name)
      await open?.handle.close()
    }
  }

  /** Of one stream one after the other. */
  const inTurn = async <T>(name: string, action: (stream: Stream) => Promise<T>): Promise<T> => {
    const stream = streams.get(name) ?? { turn: Promise.resolve(), waiting: 0, mark: 0, open: undefined }
    streams.delete(name)
    streams.set(name, stream)
    stream.waiting++
    if (waiting++ === 0) pulse.beat()
    const result = stream.turn.then(() => action(stream))
    const ended = () => {
      stream.waiting--
      if (--waiting === 0) pulse.rest()
      else pulse.beat()
    }
    stream.turn = result.then(ended, ended)
    await closeIdle()
    return result
  }

  return {
    async append(name, batch) {
      const lines = readBatch(batch.body, name)
      if (typeof lines === 'string') return { malformed: lines }
      return inTurn(name, stream => append(name, stream, lines, batch))
    },
    forget: (name, day) =>
      inTurn(name, async stream => {
        await cut(stream.open)
        await stream.open?.handle.close()
        stream.open = undefined
        const { open } = await recover(folder, name)
        if (open?.day === day && day !== marks) await keepMark(folder, name, open)
        await open?.handle.close()
        await rm(join(folder, day, `${name}.ndjson`), { force: true })
      }),
    stalled: pulse.stalled,
    async close() {
      for (const stream of streams.values()) {
        await stream.turn
        // Of what stays, the next start counts the whole lines, and acknowledges them when they come again.
        await cut(stream.open).catch(() => {})
        await stream.open?.handle.close()
      }
      streams.clear()
    },
  }
}

/** After a failed write or fsync the file's end is not to be trusted: it is cut to what is known to be durable. */
async function cut(file: Open | undefined): Promise<void> {
  if (!file?.torn) return
  await file.handle.truncate(file.size)
  await file.handle.datasync()
  file.torn = false
}

async function write(file: Open, bytes: Buffer): Promise<void> {
  await cut(file)
  file.torn = true
  faultPoint('ingest.before-append')
  for (let done = 0; done < bytes.length; )
    done += (await file.handle.write(bytes, done, bytes.length - done)).bytesWritten
  faultPoint('ingest.appended')
  await file.handle.datasync()
  faultPoint('ingest.synced')
  file.size += bytes.length
  file.torn = false
}

/** The file is there for good before an entry in it is acknowledged; undefined when the day has too many. */
async function create(folder: string, day: string, name: string): Promise<Open | undefined> {
  const path = join(folder, day)
  const file = `${name}.ndjson`
  await mkdir(path, { recursive: true })
  const names = await readdir(path)
  if (names.length >= limits.logStreams.value && day !== marks && !names.includes(file)) return undefined
  await appendFile(join(path, file), '')
  await syncFolder(path)
  await syncFolder(folder)
  return (await openFile(folder, day, name)).file
}

/** Where a stream stands: at the highest entry of all its files; what follows that line in its file is cut. */
async function recover(folder: string, name: string): Promise<{ mark: number; open: Open | undefined }> {
  const highest = { mark: 0, open: undefined as Open | undefined }
  for (const day of await readdir(folder)) {
    const found = await openFile(folder, day, name).catch(ignore('ENOENT', 'ENOTDIR'))
    if (!found) continue
    const lower = found.mark > highest.mark ? highest.open : found.file
    if (lower !== found.file) Object.assign(highest, { mark: found.mark, open: found.file })
    await lower?.handle.close()
  }
  // What is acknowledged as already here must be as durable as what is appended; its folders are, by `create`.
  if (highest.open) await cut(Object.assign(highest.open, { torn: true }))
  return highest
}

async function openFile(folder: string, day: string, name: string): Promise<{ mark: number; file: Open }> {
  const { O_APPEND, O_RDWR } = constants
  const handle = await open(join(folder, day, `${name}.ndjson`), O_APPEND | O_RDWR)
  try {
    const { mark, ...file } = await lastWholeLine(handle, name)
    return { mark, file: { ...file, handle, day } }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function lastWholeLine(handle: FileHandle, name: string) {
  const prefix = streamPrefix(name)
  const { size } = await handle.stat()
  const from = Math.max(0, size - recoverBytes)
  const bytes = Buffer.alloc(size - from)
  await handle.read(bytes, 0, bytes.length, from)
  const found = { size: from, lineAt: from, mark: 0, effectiveMs: 0 }
  // A zero is where a power cut left a hole: no entry has one.
  const hole = bytes.indexOf(0)
  let start = from === 0 ? 0 : bytes.indexOf(newline) + 1
  for (let end = bytes.indexOf(newline, start); end >= 0; end = bytes.indexOf(newline, start)) {
    const scanned = scanEntry(bytes, start, end, prefix)
    if (!scanned || scanned.seq <= found.mark || (hole >= 0 && hole < end)) break
    const effectiveMs = effectiveAt(bytes, end, scanned.timestampMs)
    Object.assign(found, { size: from + end + 1, lineAt: from + start, mark: scanned.seq, effectiveMs })
    start = end + 1
  }
  if (from > 0 && found.mark === 0) throw new Error(`the journal of ${name} has no whole line near its end`)
  return { ...found, torn: found.size < size }
}

/** The last line is durable among the marks before the file that it stands in goes. */
async function keepMark(folder: string, name: string, { handle, size, lineAt }: Open): Promise<void> {
  const line = Buffer.alloc(size - lineAt)
  await handle.read(line, 0, line.length, lineAt)
  const kept = (await create(folder, marks, name)) as Open
  await write(kept, line).finally(() => kept.handle.close())
}
