import { join } from 'node:path'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import type { Example, Stores } from '../diagnose/open-examples.ts'
import { attributeOf, spansIn } from './witness/otlp.ts'

const shown = 3

/** The slowest photos of a stage between two times, from the OTLP JSON lines in DATA_DIR/traces. */
export async function examplesOf(
  { dataDir }: Stores,
  stage: string,
  sinceMs: number,
  toMs: number,
): Promise<Example[]> {
  const slowest: Example[] = []
  for await (const span of spansIn(join(dataDir, 'traces'), sinceMs, `"name":"${stage}"`)) {
    const [photo, session] = [attributeOf(span, attributes.photo), attributeOf(span, attributes.session)]
    const [start, end] = [Number(span.startTimeUnixNano) / 1e6, Number(span.endTimeUnixNano) / 1e6]
    if (span.name !== stage || !photo || !session || end < sinceMs || end > toMs) continue
    slowest.push({ traceId: span.traceId, photo, session, seconds: Math.round(end - start) / 1000 })
    slowest.sort((a, b) => b.seconds - a.seconds).splice(shown)
  }
  return slowest
}
