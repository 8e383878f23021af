const newline = 10

/**
 * The lines that hold a text, in order. Looks for the text and not for lines: a day's traces have millions, of which a few
 * thousand are wanted. A last line without its end is still being written and is left out. node:readline would end a line at
 * U+2028, too.
 */
export async function* linesWith(chunks: AsyncIterable<Buffer>, text: string): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
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
