import { createReadStream } from 'node:fs'
import type { Outcome } from '@tintype/lib/photo/record.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import type { Outcomes, Seen } from './compare.ts'
import { linesOfStream } from './lines.ts'
import { attributeOf, filesSince, spansOf } from './otlp.ts'

/** The outcomes in a folder of OTLP JSON lines: the span of the process that settled a photo carries its outcome. */
export async function outcomesInTraces(
  folder: string,
  fromMs: number,
  toMs: number,
): Promise<Outcomes | null> {
  const photos = new Map<string, Seen>()
  const files = filesSince(folder, fromMs)
  if (files.length === 0) return null
  for (const file of files) {
    const chunks = createReadStream(file, { highWaterMark: 2 ** 20 })
    for await (const line of linesOfStream(chunks, attributes.outcome))
      for (const span of spansOf(line)) {
        const [photo, outcome] = [attributeOf(span, attributes.photo), attributeOf(span, attributes.outcome)]
        const at = Number(span.endTimeUnixNano) / 1e6
        if (photo && outcome && at >= fromMs && at < toMs)
          photos.set(photo, { outcome: outcome as Outcome, at })
      }
  }
  return { photos, restarts: 0 }
}
