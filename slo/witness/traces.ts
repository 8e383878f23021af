import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { attributes, type Outcome } from '@tintype/lib/telemetry/catalogue.ts'
import type { Seen, Witness } from './index.ts'
import { linesWith } from './lines.ts'

/** What is read of an OTLP JSON line; the rest of it is passed over. */
type Exported = { resourceSpans?: { scopeSpans?: { spans?: Span[] }[] }[] }
type Span = {
  endTimeUnixNano: string
  attributes?: { key: string; value: { stringValue?: string } }[]
}

/** The witness over the OTLP JSON lines of a folder: the span of whoever marked a photo carries its outcome. */
export const traceWitness = (folder: string): Witness => ({
  async promises(fromMs, toMs) {
    const photos = new Map<string, Seen>()
    const files = filesSince(folder, fromMs)
    if (files.length === 0) return null
    for (const file of files)
      for await (const line of linesWith(file, attributes.outcome))
        for (const [photo, seen] of marked(line))
          if (seen.at >= fromMs && seen.at < toMs) photos.set(photo, seen)
    return { photos, restarts: 0 }
  },
})

/** Files written to since a time: what is older than the window is not opened. */
function filesSince(folder: string, ms: number): string[] {
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

function marked(line: string): [photo: string, seen: Seen][] {
  const { resourceSpans } = JSON.parse(line) as Exported
  const spans = (resourceSpans ?? []).flatMap(({ scopeSpans }) =>
    (scopeSpans ?? []).flatMap(({ spans }) => spans ?? []),
  )
  return spans.flatMap(span => {
    const value = (name: string) => span.attributes?.find(({ key }) => key === name)?.value.stringValue
    const [photo, outcome] = [value(attributes.photo), value(attributes.outcome)]
    return photo && outcome
      ? [[photo, { outcome: outcome as Outcome, at: Number(span.endTimeUnixNano) / 1e6 }]]
      : []
  })
}
