import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import type { Example, Stores } from '../diagnose/open-examples.ts'
import { linesOfStream } from './witness/lines.ts'
import { attributeOf, filesSince, type OtlpSpan, spansOf } from './witness/otlp.ts'

export { loggedBy } from './log-details.ts'

const shown = 3

/** The slowest photos of a stage between two times, from the OTLP JSON lines in DATA_DIR/traces. */
export async function examplesOf(
  { dataDir }: Stores,
  stage: string,
  sinceMs: number,
  toMs: number,
): Promise<Example[]> {
  const slowest: Example[] = []
  for (const file of filesSince(join(dataDir, 'traces'), sinceMs))
    for await (const line of linesOfStream(
      createReadStream(file, { highWaterMark: 2 ** 20 }),
      `"name":"${stage}"`,
    ))
      for (const span of spansOf(line)) {
        const example = exampleOf(span, stage, sinceMs, toMs)
        if (example) slowest.push(example)
        if (slowest.length > shown) slowest.sort((a, b) => b.seconds - a.seconds).pop()
      }
  return slowest.sort((a, b) => b.seconds - a.seconds)
}

function exampleOf(span: OtlpSpan, stage: string, sinceMs: number, toMs: number): Example | undefined {
  const [photo, session] = [attributeOf(span, attributes.photo), attributeOf(span, attributes.session)]
  const [start, end] = [Number(span.startTimeUnixNano) / 1e6, Number(span.endTimeUnixNano) / 1e6]
  if (span.name !== stage || !photo || !session || end < sinceMs || end > toMs) return undefined
  return { traceId: span.traceId, photo, session, seconds: Math.round(end - start) / 1000 }
}
