import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ignore } from '@tintype/lib/disk.ts'
import { orElse } from '@tintype/lib/errors.ts'
import { linesIn } from '@tintype/lib/lines.ts'
import { storageFolders, storageUrl } from '@tintype/lib/storage/index.ts'
import { isStream, newline, scanEntry, streamPrefix } from '@tintype/lib/telemetry/entry.ts'

export type Folders = ReturnType<typeof foldersIn>

export const foldersIn = (dataDir: string, storage = '') => ({
  streams: join(dataDir, 'logs', 'streams'),
  days: join(dataDir, 'logs', 'days'),
  journals: join(dataDir, 'logs', 'journal'),
  /** The measurements of used disk space. */
  samples: join(dataDir, 'logs', 'disk.json'),
  /** The folder whose disk fills up: that of the photos, or of the logs when photos are in a bucket. */
  photos: storageFolders(storageUrl(storage, dataDir))[0] ?? dataDir,
})

/** Names in a folder; none when it does not exist or is a file. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    return ignore('ENOENT', 'ENOTDIR')(error as Error) ?? []
  }
}

export type StreamFile = { stream: string; file: string }

/** The streams of a day's folder by name; none when the folder does not exist. */
export const streamFiles = (folder: string): StreamFile[] =>
  namesIn(folder)
    .map(name => ({ stream: name.replace(/\.ndjson$/, ''), file: join(folder, name) }))
    .filter(({ stream }) => isStream(stream))
    .sort((a, b) => (a.stream < b.stream ? -1 : 1))

/** A file that is open to be read, until the caller's block ends. */
export function opened(file: string) {
  const fd = openSync(file, 'r')
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

/** Reads bytes of a file, which is open only meanwhile when it is given by its name. Returns how many there were. */
function readInto(bytes: Buffer, file: string | number, from: number, length: number): number {
  if (typeof file === 'number') return readSync(file, bytes, 0, length, from)
  using open = opened(file)
  return readSync(open.fd, bytes, 0, length, from)
}

/** Up to `length` bytes of a file from byte `from` on; fewer at the file's end, none of a file that cannot be read. */
export function readAt(file: string | number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  const read = orElse(0, () => readInto(bytes, file, from, length))
  return bytes.subarray(0, read)
}

const chunkBytes = 2 ** 20
/** Longer than most lines. */
const lineBytes = 2 ** 12

/**
 * The complete lines of a file between two bytes, in chunks of about `size` bytes, which share their memory. A file that
 * is given by its name is open only while it is read: a process may open fewer files than a day has streams. The reads
 * are synchronous, because a read in another thread takes twice as long: this processor's cache lacks its bytes.
 */
export function* chunksOf(file: string | number, from = 0, size = chunkBytes, to = Infinity) {
  let bytes = Buffer.allocUnsafe(size)
  for (let at = from; ; ) {
    const read = readInto(bytes, file, at, Math.min(bytes.length, to - at))
    const whole = bytes.subarray(0, read).lastIndexOf(newline) + 1
    if (whole > 0) yield bytes.subarray(0, whole)
    else if (read < bytes.length) return
    else bytes = Buffer.allocUnsafe(2 * bytes.length)
    // A line that the chunk cuts is read again with the next one.
    at += whole
  }
}

/**
 * Whether a stream's file has an entry from byte `from` on. Damaged lines do not count, or they would always be new. A
 * file that cannot be read counts, so that a publish of its day reports the error.
 */
export function hasEntry(file: string, stream: string, from: number): boolean {
  const isEntry = (line: Buffer) => scanEntry(line, streamPrefix(stream)) !== null
  return orElse(true, () => chunksOf(file, from, lineBytes).some(chunk => linesIn(chunk, '').some(isEntry)))
}

/**
 * The lines of a file from byte `from` on that contain a text, without a last one that is still being written. A slow
 * reader gets all of them also when the file is removed by age meanwhile.
 */
export async function* linesWith(file: string, text: string, from = 0): AsyncGenerator<Buffer> {
  using open = opened(file)
  for (const chunk of chunksOf(open.fd, from)) {
    for (const line of linesIn(chunk, text)) yield Buffer.from(line)
    // Lets the event loop answer other requests in between.
    await nextTurn()
  }
}
