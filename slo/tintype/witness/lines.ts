import { linesIn } from '@tintype/lib/lines.ts'
import { newline } from '@tintype/lib/telemetry/entry.ts'

/**
 * The lines of a stream that contain a text, as `linesIn` finds them, without a last line that is still being written.
 */
export async function* linesOfStream(chunks: AsyncIterable<Buffer>, text: string): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    for (const line of linesIn(bytes, text)) yield line.toString()
    rest = bytes.subarray(bytes.lastIndexOf(newline) + 1)
  }
}
