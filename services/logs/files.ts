import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { errorCode } from '@tintype/lib/errors.ts'
import { linesIn } from '@tintype/lib/lines.ts'
import { newline, scanEntry, streamPrefix } from '@tintype/lib/telemetry/entry.ts'

const chunkBytes = 2 ** 20
/** Longer than most lines. */
const lineBytes = 2 ** 12

/** Names in a folder; none when it does not exist or is a file. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (/^(ENOENT|ENOTDIR)$/.test(errorCode(error) ?? '')) return []
    throw error
  }
}

/** Opens a file to read it, for one call. */
export function withFile<T>(file: string, use: (fd: number) => T): T {
  const fd = openSync(file, 'r')
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

/** Up to `length` bytes of a file from byte `from` on; fewer at the file's end. */
export const readAt = (file: string, from: number, length: number): Buffer =>
  withFile(file, fd => readFrom(fd, from, length))

export function readFrom(fd: number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, from))
}

/** The line at byte `at`, with its newline; undefined when it is not complete. */
export function lineAt(fd: number, at: number): Buffer | undefined {
  for (let size = lineBytes; ; size *= 4) {
    const bytes = readFrom(fd, at, size)
    const end = bytes.indexOf(newline)
    if (end >= 0) return bytes.subarray(0, end + 1)
    if (bytes.length < size) return undefined
  }
}

/**
 * Whether a stream's file has an entry from byte `from` on. Damaged lines do not count, or they would always be new.
 */
export const hasEntry = (file: string, stream: string, from: number): boolean =>
  withFile(file, fd => {
    for (let at = from, line = lineAt(fd, at); line; at += line.length, line = lineAt(fd, at))
      if (scanEntry(line, 0, line.length - 1, streamPrefix(stream))) return true
    return false
  })

/** The lines of a file from byte `from` on that contain a text, without a last one that is still being written. */
export async function* linesWith(file: string, text: string, from = 0): AsyncGenerator<Buffer> {
  const fd = openSync(file, 'r')
  try {
    let bytes = Buffer.allocUnsafe(chunkBytes)
    for (let kept = 0, at = from; ; ) {
      // Synchronous, because a read in another thread takes twice as long: this processor's cache lacks its bytes.
      const read = readSync(fd, bytes, kept, bytes.length - kept, at)
      if (read === 0) return
      at += read
      const filled = bytes.subarray(0, kept + read)
      const whole = filled.lastIndexOf(newline) + 1
      for (const line of linesIn(filled, text)) yield Buffer.from(line)
      kept = filled.length - whole
      if (kept === bytes.length) bytes = Buffer.concat([bytes], 2 * bytes.length)
      else bytes.copyWithin(0, whole, filled.length)
      // Lets the event loop answer other requests in between.
      await nextTurn()
    }
  } finally {
    closeSync(fd)
  }
}
