import { createReadStream, globSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseJson } from '@tintype/lib/json.ts'
import { linesOfStream } from '@tintype/lib/lines.ts'

/** The fields that are read of an OTLP JSON line. */
type Exported = { resourceSpans?: { scopeSpans?: { spans?: OtlpSpan[] }[] }[] }
type OtlpSpan = {
  traceId: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes?: { key: string; value: { stringValue?: string } }[]
}

export const filesSince = (folder: string, ms: number): string[] =>
  globSync('*.jsonl', { cwd: folder })
    .sort()
    .map(name => join(folder, name))
    .filter(file => {
      // Another process may rotate the file away meanwhile.
      const found = statSync(file, { throwIfNoEntry: false })
      return found && found.size > 0 && found.mtimeMs >= ms
    })

/** The spans in files written since a time, from lines that contain a text. */
export async function* spansIn(folder: string, sinceMs: number, text: string): AsyncGenerator<OtlpSpan> {
  for (const file of filesSince(folder, sinceMs)) {
    const chunks = createReadStream(file, { highWaterMark: 2 ** 20 })
    for await (const line of linesOfStream(chunks, text)) yield* spansOf(line)
  }
}

type Covered = { fromMs: number; untilMs: number }

/** The times, in epoch ms, of which the files written since a time have the spans of each process (`service.instance`). */
export async function coveredIn(folder: string, sinceMs: number): Promise<Map<string, Covered>> {
  const covered = new Map<string, Covered>()
  for (const file of filesSince(folder, sinceMs)) {
    const source = basename(file).split('.', 2).join('.')
    const writtenMs = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
    for await (const line of linesOfStream(createReadStream(file), '')) {
      const starts = spansOf(line).map(({ startTimeUnixNano }) => Number(startTimeUnixNano) / 1e6)
      if (starts.length === 0) continue
      const { fromMs, untilMs } = covered.get(source) ?? { fromMs: Infinity, untilMs: 0 }
      covered.set(source, { fromMs: Math.min(fromMs, ...starts), untilMs: Math.max(untilMs, writtenMs) })
      break
    }
  }
  return covered
}

/** The spans of a line; none if a kill or a full disk left the line incomplete. */
const spansOf = (line: string): OtlpSpan[] =>
  (parseJson<Exported>(line)?.resourceSpans ?? []).flatMap(({ scopeSpans }) =>
    (scopeSpans ?? []).flatMap(({ spans }) => spans ?? []),
  )

export const attributeOf = (span: OtlpSpan, name: string): string | undefined =>
  span.attributes?.find(({ key }) => key === name)?.value.stringValue
