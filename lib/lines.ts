import { newline } from './telemetry/entry.ts'

/**
 * The whole lines of `bytes` that hold a text, in order and without their newlines; of the empty text every line. Looks for
 * the text and not for lines: a day has millions, of which a few are wanted. Lines end at newlines only: node:readline would
 * end one at U+2028, too. The lines are views of `bytes`.
 */
export function* linesIn(bytes: Buffer, text: string): Generator<Buffer> {
  const whole = bytes.lastIndexOf(newline) + 1
  for (let next = 0; next < whole; ) {
    const found = bytes.indexOf(text, next)
    if (found < 0 || found >= whole) return
    const start = found === next ? next : bytes.lastIndexOf(newline, found - 1) + 1
    const end = bytes.indexOf(newline, found)
    yield bytes.subarray(start, end)
    next = end + 1
  }
}
