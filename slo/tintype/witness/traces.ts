import { createReadStream } from 'node:fs'
import type { Outcome } from '@tintype/lib/photo/record.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { linesWith } from './lines.ts'
import { attributeOf, filesSince, spansOf } from './otlp.ts'
import type { Seen, Witness } from './testimony.ts'

/** The witness over the OTLP JSON lines of a folder: the span of the process that settled a photo carries its outcome. */
export const traceWitness = (folder: string): Witness => ({
  async promises(fromMs, toMs) {
    const photos = new Map<string, Seen>()
    const files = filesSince(folder, fromMs)
    if (files.length === 0) return null
    for (const file of files)
      for await (const line of linesWith(
        createReadStream(file, { highWaterMark: 2 ** 20 }),
        attributes.outcome,
      ))
        for (const [photo, seen] of marked(line))
          if (seen.at >= fromMs && seen.at < toMs) photos.set(photo, seen)
    return { photos, restarts: 0 }
  },
})

function marked(line: string): [photo: string, seen: Seen][] {
  return spansOf(line).flatMap(span => {
    const [photo, outcome] = [attributeOf(span, attributes.photo), attributeOf(span, attributes.outcome)]
    return photo && outcome
      ? [[photo, { outcome: outcome as Outcome, at: Number(span.endTimeUnixNano) / 1e6 }]]
      : []
  })
}
