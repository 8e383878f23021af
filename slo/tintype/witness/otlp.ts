import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** What is read of an OTLP JSON line; the rest of it is passed over. */
type Exported = { resourceSpans?: { scopeSpans?: { spans?: Span[] }[] }[] }
export type Span = {
  traceId: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes?: { key: string; value: { stringValue?: string } }[]
}

/** Files written to since a time: what is older than the window is not opened. */
export function filesSince(folder: string, ms: number): string[] {
  try {
    return readdirSync(folder)
      .filter(name => name.endsWith('.jsonl'))
      .map(name => join(folder, name))
      .filter(file => statSync(file).size > 0 && statSync(file).mtimeMs >= ms)
  } catch (error) {
    // No folder, or a file that was rotated away while it was looked at.
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
