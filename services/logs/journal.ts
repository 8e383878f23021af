import { constants, mkdirSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { faultPoint } from '@tintype/lib/fault.ts'
import { newline, scanEntry, streamPrefix } from '@tintype/lib/telemetry/entry.ts'
import { type Clock, effectiveAt, type Line, readBatch, stamp } from './stamp.ts'

/** More than one append: all that a power cut can have left in disorder at a file's end. */
const recoverBytes = 8 * 2 ** 20
/** Files kept open; the streams of processes long gone are closed. */
const maxOpenStreams = 256

export type Appended =
  /** Everything up to `acked` is durable; `appended` of the batch were new, `bytes` in the file, the newest of `newestMs`. */
  | { acked: number; appended: number; bytes: number; newestMs: number }
  | { expected: number }
  | { malformed: string }

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
  close(): Promise<void>
}

/** `mark`: the last entry that is whole in the file, the stream's high-water mark. There is no second ledger. */
type Open = {
  handle: FileHandle
  day: string
  size: number
  mark: number
  effectiveMs: number
  torn: boolean
}
type Stream = { turn: Promise<unknown>; waiting: number; open: Open | undefined }

/** The server's own journal: one append-only file a day and stream, `folder`/DAY/STREAM.ndjson. */
export function openJournal(folder: string): Journal {
  mkdirSync(folder, { recursive: true })
  const streams = new Map<string, Stream>()

  const append = async (name: string, stream: Stream, lines: Line[], batch: Batch): Promise<Appended> => {
    stream.open ??= await recover(folder, name)
    const mark = stream.open?.mark ?? 0
    const [first, last] = [lines[0]?.seq ?? 0, lines.at(-1)?.seq ?? 0]
    if (last <= mark) return { acked: mark, appended: 0, bytes: 0, newestMs: 0 }
    if (first > mark + 1 && !batch.oldest) return { expected: mark + 1 }
    const fresh = first > mark ? lines : lines.slice(mark + 1 - first)
    let bytes = 0
    for (const run of stamp(batch.body, fresh, batch.clock, stream.open?.effectiveMs ?? 0)) {
      if (stream.open?.day !== run.day) {
        const next = await create(folder, run.day, name)
        await stream.open?.handle.close()
        stream.open = next
      }
      await write(stream.open, run.bytes)
      bytes += run.bytes.length
      stream.open.mark = run.last
      stream.open.effectiveMs = run.effectiveMs
    }
    return { acked: last, appended: fresh.length, bytes, newestMs: stream.open?.effectiveMs ?? 0 }
  }

  const closeIdle = async () => {
    for (const [name, stream] of streams) {
      if (streams.size <= maxOpenStreams) return
      if (stream.waiting > 0) continue
      streams.delete(name)
      await stream.open?.handle.close()
    }
  }

  return {
    async append(name, batch) {
      const lines = readBatch(batch.body, name)
      if (typeof lines === 'string') return { malformed: lines }
      const stream = streams.get(name) ?? { turn: Promise.resolve(), waiting: 0, open: undefined }
      streams.delete(name)
      streams.set(name, stream)
      stream.waiting++
      const result = stream.turn.then(() => append(name, stream, lines, batch))
      stream.turn = result.catch(() => {}).finally(() => stream.waiting--)
      await closeIdle()
      return result
    },
    async close() {
      for (const stream of streams.values()) {
        await stream.turn
        await stream.open?.handle.close()
      }
      streams.clear()
    },
  }
}

/** After a failed write or fsync the file's end is not to be trusted: it is cut to what is known to be durable. */
async function write(open: Open, bytes: Buffer): Promise<void> {
  if (open.torn) {
    await open.handle.truncate(open.size)
    await open.handle.datasync()
  }
  open.torn = true
  faultPoint('ingest.before-append')
  for (let done = 0; done < bytes.length; )
    done += (await open.handle.write(bytes, done, bytes.length - done)).bytesWritten
  faultPoint('ingest.appended')
  await open.handle.datasync()
  faultPoint('ingest.synced')
  open.size += bytes.length
  open.torn = false
}

/** The file is created for good before an entry in it is acknowledged. */
async function create(folder: string, day: string, name: string): Promise<Open> {
  await mkdir(join(folder, day), { recursive: true })
  const { O_APPEND, O_CREAT, O_RDWR } = constants
  const handle = await open(join(folder, day, `${name}.ndjson`), O_APPEND | O_CREAT | O_RDWR)
  await syncFolders(folder, day)
  const { size } = await handle.stat()
  return { handle, day, size, mark: 0, effectiveMs: 0, torn: false }
}

async function syncFolders(folder: string, day: string): Promise<void> {
  for (const path of [join(folder, day), folder]) {
    const handle = await open(path, 'r')
    await handle.sync().finally(() => handle.close())
  }
}

/** Where a stream stands, from its newest file that has a whole line; what follows that line is cut. */
async function recover(folder: string, name: string): Promise<Open | undefined> {
  for (const day of (await readdir(folder)).sort().reverse()) {
    const handle = await open(
      join(folder, day, `${name}.ndjson`),
      constants.O_APPEND | constants.O_RDWR,
    ).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
      throw error
    })
    if (!handle) continue
    const found = await lastWholeLine(handle, name)
    await handle.truncate(found.size)
    // What is acknowledged as already here must be as durable as what is appended; its folders are, by `create`.
    await handle.datasync()
    if (found.mark > 0) return { ...found, handle, day, torn: false }
    await handle.close()
  }
  return undefined
}

async function lastWholeLine(
  handle: FileHandle,
  name: string,
): Promise<{ size: number; mark: number; effectiveMs: number }> {
  const prefix = streamPrefix(name)
  const { size } = await handle.stat()
  const from = Math.max(0, size - recoverBytes)
  const bytes = Buffer.alloc(size - from)
  await handle.read(bytes, 0, bytes.length, from)
  const found = { size: from, mark: 0, effectiveMs: 0 }
  // A zero is where a power cut left a hole: no entry has one.
  const hole = bytes.indexOf(0)
  let start = from === 0 ? 0 : bytes.indexOf(newline) + 1
  for (let end = bytes.indexOf(newline, start); end >= 0; end = bytes.indexOf(newline, start)) {
    const scanned = scanEntry(bytes, start, end, prefix)
    if (!scanned || scanned.seq <= found.mark || (hole >= 0 && hole < end)) break
    const effectiveMs = effectiveAt(bytes, end, scanned.timestampMs)
    Object.assign(found, { size: from + end + 1, mark: scanned.seq, effectiveMs })
    start = end + 1
  }
  if (from > 0 && found.mark === 0) throw new Error(`the journal of ${name} has no whole line near its end`)
  return found
}
