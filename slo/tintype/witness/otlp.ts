import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** The fields of an OTLP JSON line that are read. */
type Exported = { resourceSpans?: { scopeSpans?: { spans?: Span[] }[] }[] }
export type Span = {
  traceId: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes?: { key: string; value: { stringValue?: string } }[]
}

/** The files of a folder that were written to since a time. */
export function filesSince(folder: string, ms: number): string[] {
  try {
    return readdirSync(folder)
      .filter(name => name.endsWith('.jsonl'))
      .map(name => join(folder, name))
      .filter(file => statSync(file).size > 0 && statSync(file).mtimeMs >= ms)
  } catch (error) {
    // There is no folder, or a file was rotated away meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** The spans of one line. */
export function spansOf(line: string): Span[] {
  const { resourceSpans } = JSON.parse(line) as Exported
  return (resourceSpans ?? []).flatMap(({ scopeSpans }) =>
    (scopeSpans ?? []).flatMap(({ spans }) => spans ?? []),
  )
}

export const attributeOf = (span: Span, name: string): string | undefined =>
  span.attributes?.find(({ key }) => key === name)?.value.stringValue
