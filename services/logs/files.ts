import { closeSync, createReadStream, openSync, readdirSync, readSync } from 'node:fs'
import { newline } from '@tintype/lib/telemetry/entry.ts'

const chunkBytes = 2 ** 20

/** Names in a folder; none when it does not exist. */
export function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Up to `length` bytes of a file from byte `from` on; fewer at its end. */
export function readAt(file: string, from: number, length: number): Buffer {
  const fd = openSync(file, 'r')
  try {
    return readFrom(fd, from, length)
  } finally {
    closeSync(fd)
  }
}

export function readFrom(fd: number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, from))
}

/**
 * The lines of a file from byte `from` on that hold a text, without their newlines; of the empty text every line.
 * Looks for the text and not for lines: a day has millions, of which a few are wanted. A last line without its newline is
 * still being written, and is left out. Lines end at newlines only: node:readline would end a text at U+2028, too.
 */
export async function* linesWith(file: string, text: string, from = 0): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(file, { start: from, highWaterMark: chunkBytes })) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    const whole = bytes.lastIndexOf(newline) + 1
    for (let at = 0; at < whole; ) {
      const found = bytes.indexOf(text, at)
      if (found < 0 || found >= whole) break
      const start = found === at ? at : bytes.lastIndexOf(newline, found - 1) + 1
      const end = bytes.indexOf(newline, found)
      yield bytes.subarray(start, end)
      at = end + 1
    }
    rest = bytes.subarray(whole)
  }
}
