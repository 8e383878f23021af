import { newline } from './telemetry/entry.ts'

/**
 * Yields the complete lines of `bytes` that contain `text` (every line for an empty text), as views without newlines.
 * It searches for the text instead of splitting, because a day has millions of lines and few match. node:readline would
 * also end a line at U+2028.
 */
export function* linesIn(bytes: Buffer, text: string): Generator<Buffer> {
  const whole = bytes.lastIndexOf(newline) + 1
  for (let next = 0; next < whole; ) {
    const found = text === '' ? next : bytes.indexOf(text, next)
    if (found < 0 || found >= whole) return
    const start = found === next ? next : bytes.lastIndexOf(newline, found - 1) + 1
    const end = bytes.indexOf(newline, found)
    yield bytes.subarray(start, end)
    next = end + 1
  }
}

/** The lines of a stream that contain a text, as `linesIn` finds them, without a last line that is still being written. */
export async function* linesOfStream(chunks: AsyncIterable<Buffer>, text: string): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    for (const line of linesIn(bytes, text)) yield line.toString()
    rest = bytes.subarray(bytes.lastIndexOf(newline) + 1)
  }
}
