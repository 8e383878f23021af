import { constants, existsSync } from 'node:fs'
import { open, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { dayMs, dayOf, isDay } from '@tintype/lib/day.ts'
import { createFile, ignore, makeFolder, syncFolder } from '@tintype/lib/disk.ts'
import { faultPoint } from '@tintype/lib/fault.ts'
import { limits } from '@tintype/lib/limits.ts'
import { linesIn } from '@tintype/lib/lines.ts'
import { startPulse } from '@tintype/lib/repeat.ts'
import { newline, scanEntry, streamPrefix } from '@tintype/lib/telemetry/entry.ts'
import { turns } from '@tintype/lib/turns.ts'
import { linesWith, namesIn } from './files.ts'
import { type Clock, effectiveAt, effectiveMs, type Line, readBatch, receivedAt, stamp } from './stamp.ts'

/** More than one append, which is all that a power cut can leave in disorder at a file's end. */
const recoverBytes = 8 * 2 ** 20

export type Appended =
  /** All entries up to `acked` are durable; `appended` of the batch were new, with `bytes` in the file. */
  | { acked: number; appended: number; bytes: number; newestMs: number }
  | { expected: number }
  | { malformed: string }
  /** This day has too many streams. */
  | { full: string }
  /** Another process ships this stream: it sent other entries with these numbers. */
  | { taken: string }

type ReceivedBatch = {
  body: Buffer
  clock: Clock
  /** The sender has nothing older than this batch, so a gap before it will never be filled. */
  oldest: boolean
}

/**
 * A stream's file of a day, complete up to `size`, with its last entry of `effectiveMs`. `torn`: more bytes may follow.
 * `mark`: the highest entry that is complete in any file of the stream. It is stored nowhere else.
 */
type File = { path: string; day: string; size: number; effectiveMs: number; mark: number; torn: boolean }
/** `waiting`: actions that run or wait for their turn. `offset`: see `offsetOf`. */
type Stream = {
  turn: ReturnType<typeof turns>
  waiting: number
  file: File | undefined
  offset?: { ms: number; at: number }
}

export type ServerJournal = ReturnType<typeof openServerJournal>

/** The server's own journal: one append-only file a day and stream, `folder`/DAY/STREAM.ndjson. */
export function openServerJournal(folder: string) {
  const streams = new Map<string, Stream>()
  const pulse = startPulse('the journal')
  pulse.rest()
  let waiting = 0

  const append = async (name: string, stream: Stream, lines: Line[], batch: ReceivedBatch) => {
    const clock = { ...batch.clock, offsetMs: offsetOf(stream, batch.clock) }
    stream.file ??= await recover(folder, name)
    const mark = stream.file?.mark ?? 0
    const [first, last] = [lines[0]?.seq ?? 0, lines.at(-1)?.seq ?? 0]
    const again = lines[Math.min(last, mark) - first]
    if (again && stream.file && !(await isHeld(folder, stream.file, again.bytes))) return { taken: name }
    if (last <= mark) return { acked: mark, appended: 0, bytes: 0, newestMs: 0 }
    if (first > mark + 1 && !batch.oldest) return { expected: mark + 1 }
    const fresh = first > mark ? lines : lines.slice(mark + 1 - first)
    let bytes = 0
    for (let rest = fresh; rest[0]; ) {
      let atMs = effectiveMs(rest[0].timestampMs, clock, stream.file?.effectiveMs ?? 0)
      while (stream.file?.day !== dayOf(atMs)) {
        // A torn rest is cut: the shipper repeats those entries, which now go into another file.
        if (stream.file?.torn) await write(stream.file, Buffer.alloc(0))
        const next = await create(folder, dayOf(atMs), name, stream.file?.mark)
        if (next) stream.file = { ...next, effectiveMs: Math.max(next.effectiveMs, atMs) }
        else if (dayOf(atMs) >= dayOf(clock.receivedMs)) return { full: dayOf(atMs) }
        // A past day with too many streams would refuse its entries for ever: they count for the start of the next day.
        else atMs = (Math.floor(atMs / dayMs) + 1) * dayMs
      }
      const run = stamp(rest, clock, stream.file.effectiveMs)
      await write(stream.file, run.bytes)
      bytes += run.bytes.length
      Object.assign(stream.file, { mark: run.last, effectiveMs: run.effectiveMs })
      rest = rest.slice(run.count)
    }
    return { acked: last, appended: fresh.length, bytes, newestMs: stream.file?.effectiveMs ?? 0 }
  }

  /** Runs the actions of one stream one after the other. */
  const inTurn = async <T>(name: string, action: (stream: Stream) => Promise<T>): Promise<T> => {
    const stream = streams.getOrInsertComputed(name, () => ({ turn: turns(1), waiting: 0, file: undefined }))
    stream.waiting++
    if (waiting++ === 0) pulse.beat()
    try {
      return await stream.turn(() => action(stream))
    } finally {
      pulse.beat()
      if (--waiting === 0) pulse.rest()
      // A stream whose entries were refused has no file, and would stay in memory.
      if (--stream.waiting === 0 && !stream.file) streams.delete(name)
    }
  }

  return {
    /**
     * Appends the new entries of a batch in order; durable when it resolves.
     * @throws when the disk refuses. Then nothing is acknowledged, and the sender must try again.
     */
    async append(name: string, batch: ReceivedBatch): Promise<Appended> {
      const lines = readBatch(batch.body, name)
      if (typeof lines === 'string') return { malformed: lines }
      return inTurn(name, stream =>
        append(name, stream, lines, batch).catch(error => {
          // Somebody removed or emptied the file. The next try determines the stream's mark anew.
          if (error.code === 'ENOENT') stream.file = undefined
          throw error
        }),
      )
    },
    /** Removes a stream's file of a day. */
    forget: (name: string, day: string): Promise<void> =>
      inTurn(name, async stream => {
        await rm(join(folder, day, `${name}.ndjson`), { force: true })
        stream.file = undefined
      }),
    /** Says that no append in progress has ended for too long, else null. */
    stalled: pulse.stalled,
    async close(): Promise<void> {
      await Promise.all([...streams.values()].map(({ turn }) => turn(async () => {})))
    },
  }
}

/** For so long a request may have waited. A log server that hangs for longer is killed. */
const waitedMs = 60_000
const offsetForMs = 3_600_000

/**
 * The least offset of a shipper's clock that was seen lately. A request that waited for a busy server makes the clock seem
 * to be behind by as much, and its entries would be moved. A clock that was set back by more counts at once.
 */
function offsetOf(stream: Stream, { offsetMs: ms }: Clock): number {
  const at = performance.now()
  const least = stream.offset ?? { ms, at }
  const isWait = ms > least.ms && ms - least.ms < waitedMs && at - least.at < offsetForMs
  stream.offset = isWait ? least : { ms, at }
  return stream.offset.ms
}

/** Whether the stream's entry with this number is this line. True when the entry is no longer there. */
async function isHeld(folder: string, { path, size }: File, line: Buffer): Promise<boolean> {
  const head = line.toString('latin1', 0, line.indexOf('","session":') + 1)
  const files = namesIn(folder).map(day => join(folder, day, basename(path)))
  // Usually a batch is repeated because its acknowledgement was lost, and its lines are the file's last ones.
  const ends = [{ file: path, from: Math.max(0, size - recoverBytes) }]
  for (const { file, from } of [...ends, ...files.filter(existsSync).map(file => ({ file, from: 0 }))])
    for await (const held of linesWith(file, head, from)) return held.indexOf(line.subarray(0, -1)) === 0
  return true
}

/** Appends bytes. After a failed write or fsync the file is first cut to the size that is known to be durable. */
async function write(file: File, bytes: Buffer): Promise<void> {
  await using handle = await open(file.path, constants.O_APPEND | constants.O_RDWR)
  // Somebody emptied the file. Cut to its former size after a failed write, it would begin with zeros.
  if ((await handle.stat()).size < file.size)
    throw Object.assign(new Error(`${file.path} is shorter than it was`), { code: 'ENOENT' })
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

/** Creates a durable file before an entry in it is acknowledged; undefined when the day has too many. */
async function create(folder: string, day: string, name: string, mark = 0): Promise<File | undefined> {
  const path = join(folder, day)
  const file = `${name}.ndjson`
  makeFolder(path)
  const names = await readdir(path)
  if (names.length >= limits.logStreams.value && !names.includes(file)) return undefined
  createFile(join(path, file))
  await syncFolder(path)
  await syncFolder(folder)
  return { ...(await lookAt(join(path, file), name)), mark }
}

/** The file with the stream's highest entry. Bytes after that entry are cut. */
async function recover(folder: string, name: string): Promise<File | undefined> {
  const file = await newestFile(folder, name)
  // An entry that is acknowledged as known must be as durable as an appended one: fsyncs the file.
  if (file) await write(file, Buffer.alloc(0))
  return file
}

/** The file with a stream's highest entry; undefined when there is none. */
export async function newestFile(folder: string, name: string): Promise<File | undefined> {
  let newest: File | undefined
  for (const day of namesIn(folder).filter(isDay)) {
    const file = await lookAt(join(folder, day, `${name}.ndjson`), name).catch(ignore('ENOENT'))
    if (file && file.mark > (newest?.mark ?? 0)) newest = file
  }
  return newest
}

/**
 * A stream's file up to its last complete line, or up to a hole in its last append: a power cut can leave zeros, and
 * after them complete lines that were not acknowledged. Other damaged lines are skipped, and a publish counts them.
 */
export async function lookAt(path: string, name: string): Promise<File> {
  await using handle = await open(path)
  const prefix = streamPrefix(name)
  const { size } = await handle.stat()
  const from = Math.max(0, size - recoverBytes)
  const bytes = Buffer.alloc(size - from)
  await handle.read(bytes, 0, bytes.length, from)
  const file = { path, day: basename(dirname(path)), size: from, effectiveMs: 0, mark: 0, torn: true }
  const hasHole = bytes.includes(0)
  let beforeHole: File | undefined
  let received: string | undefined
  let end = from === 0 ? 0 : bytes.indexOf(newline) + 1
  for (const line of linesIn(bytes.subarray(end), '')) {
    end += line.length + 1
    const scanned = scanEntry(line, prefix)
    if (hasHole && line.includes(0)) {
      beforeHole ??= { ...file }
      received = undefined
    } else if (scanned) {
      if (received !== receivedAt(line) && received !== undefined) beforeHole = undefined
      received = receivedAt(line)
      const effectiveMs = effectiveAt(line, scanned.timestampMs)
      Object.assign(file, { size: from + end, mark: scanned.seq, effectiveMs })
    }
  }
  if (from > 0 && file.mark === 0) throw new Error(`${path} has no whole line near its end`)
  return beforeHole ?? file
}
