import { createReadStream } from 'node:fs'

const chunkBytes = 1024 * 1024
const newline = 10

/**
 * The lines of a file that contain a text, in order. Searches for the text before it splits lines: a day's log has millions of
 * lines, of which a few thousand match. A last line without its end is still being written and is left out.
 */
export async function* linesWith(file: string, text: string): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(file, { highWaterMark: chunkBytes }) as AsyncIterable<Buffer>) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    const whole = bytes.lastIndexOf(newline) + 1
    for (let found = bytes.indexOf(text); found >= 0 && found < whole; ) {
      const end = bytes.indexOf(newline, found)
      yield bytes.toString('utf8', bytes.lastIndexOf(newline, found) + 1, end)
      found = bytes.indexOf(text, end)
    }
    rest = bytes.subarray(whole)
  }
}
