import { createReadStream, globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { linesOfStream } from './lines.ts'

/** The fields of an OTLP JSON line that are read. */
type Exported = { resourceSpans?: { scopeSpans?: { spans?: OtlpSpan[] }[] }[] }
export type OtlpSpan = {
  traceId: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes?: { key: string; value: { stringValue?: string } }[]
}

/** The files of a folder that were written to since a time. */
export const filesSince = (folder: string, ms: number): string[] =>
  globSync('*.jsonl', { cwd: folder })
    .sort()
    .map(name => join(folder, name))
    .filter(file => {
      // Another process may rotate it away meanwhile.
      const found = statSync(file, { throwIfNoEntry: false })
      return found && found.size > 0 && found.mtimeMs >= ms
    })

/** The spans in files written to since a time, of the lines that hold a text. */
export async function* spansIn(folder: string, sinceMs: number, text: string): AsyncGenerator<OtlpSpan> {
  for (const file of filesSince(folder, sinceMs)) {
    const chunks = createReadStream(file, { highWaterMark: 2 ** 20 })
    for await (const line of linesOfStream(chunks, text)) yield* spansOf(line)
  }
}

/** The spans of one line; none of a line that a kill or a full disk left unfinished. */
function spansOf(line: string): OtlpSpan[] {
  let exported: Exported = {}
  try {
    exported = JSON.parse(line)
  } catch {}
  return (exported.resourceSpans ?? []).flatMap(({ scopeSpans }) =>
    (scopeSpans ?? []).flatMap(({ spans }) => spans ?? []),
  )
}

export const attributeOf = (span: OtlpSpan, name: string): string | undefined =>
  span.attributes?.find(({ key }) => key === name)?.value.stringValue
