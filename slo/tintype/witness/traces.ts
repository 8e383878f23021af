import type { Outcome } from '@tintype/lib/photo/record.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import type { Outcomes, Seen } from './compare.ts'
import { attributeOf, filesSince, spansIn } from './otlp.ts'

/** The outcomes in a folder of OTLP JSON lines. The span of the process that settled a photo has its outcome. */
export async function outcomesInTraces(
  folder: string,
  fromMs: number,
  toMs: number,
): Promise<Outcomes | null> {
  const photos = new Map<string, Seen>()
  if (filesSince(folder, fromMs).length === 0) return null
  for await (const span of spansIn(folder, fromMs, attributes.outcome)) {
    const [photo, outcome] = [attributeOf(span, attributes.photo), attributeOf(span, attributes.outcome)]
    const at = Number(span.endTimeUnixNano) / 1e6
    if (photo && outcome && at >= fromMs && at < toMs) photos.set(photo, { outcome: outcome as Outcome, at })
  }
  return { photos, restarts: 0 }
}
