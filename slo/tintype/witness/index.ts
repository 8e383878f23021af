import { join } from 'node:path'
import type { Outcome } from '@tintype/lib/photo/record.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { sourceOf } from '@tintype/lib/telemetry/entry.ts'
import type { Stores } from '../../diagnose/open-examples.ts'
import type { WitnessModule } from '../../directory/witnesses.ts'
import { type LogEntry, readEntries } from '../log-entries.ts'
import { compare, type Outcomes, type Seen } from './compare.ts'
import { attributeOf, coveredIn, filesSince, spansIn } from './otlp.ts'

/** Compares the traces of DATA_DIR and the log server's entries with the metrics of the objective `latency`. */
export const compareWitnesses: WitnessModule['compareWitnesses'] = async given => {
  const { counted, stores, fromMs, toMs, scrapeMs } = given
  const { good: kept = 0, bad: broken = 0 } = counted('latency') ?? {}
  const folder = join(stores.dataDir, 'traces')
  const [traces, logs, covered] = await Promise.all([
    outcomesInTraces(folder, fromMs, toMs),
    outcomesInLogs(stores, fromMs, toMs),
    coveredIn(folder, fromMs),
  ])
  // Trace files are removed by age and size, and are written only while no collector is set: a part is no witness.
  const isPart = logs?.photos.values().some(({ at, source = '', traced }) => {
    const { fromMs = 0, untilMs = toMs } = covered.get(source) ?? {}
    return traced && (at < fromMs || (at > untilMs + scrapeMs && at < toMs - scrapeMs))
  })
  return compare({ metrics: { kept, broken }, traces: isPart ? null : traces, logs, fromMs, toMs, scrapeMs })
}

/** The outcomes in a folder of OTLP JSON lines. The span of the process that settled a photo has its outcome. */
export async function outcomesInTraces(folder: string, fromMs: number, toMs: number) {
  const photos = new Map<string, Seen>()
  if (filesSince(folder, fromMs).length === 0) return null
  for await (const span of spansIn(folder, fromMs, attributes.outcome)) {
    const [photo, outcome] = [attributeOf(span, attributes.photo), attributeOf(span, attributes.outcome)]
    const at = Number(span.endTimeUnixNano) / 1e6
    if (photo && outcome && at >= fromMs && at < toMs) photos.set(photo, { outcome: outcome as Outcome, at })
  }
  return { photos, restarts: 0 }
}

/** The outcomes in the log server: an entry `promise.kept`, `promise.broken` or `promise.void` of each photo. */
export async function outcomesInLogs(stores: Stores, fromMs: number, toMs: number): Promise<Outcomes | null> {
  const photos = new Map<string, Seen>()
  const streams = new Set<string>()
  const take = ({ id, timestamp, payload }: LogEntry) => {
    if (!payload.photo) return
    const outcome = String(payload.event).slice('promise.'.length) as Outcome
    const traced = payload.traced !== false
    // An id is its stream and a sequence number.
    const stream = sourceOf(id)
    const [at, source] = [Date.parse(timestamp), sourceOf(stream)]
    photos.set(String(payload.photo), { outcome, at, traced, source })
    streams.add(stream)
  }
  if (!(await readEntries(stores, { event: 'promise.' }, fromMs, toMs, take))) return null
  // A stream is `service.instance.epoch`, and each epoch after the first is a restart.
  const instances = new Set([...streams].map(sourceOf))
  return { photos, restarts: streams.size - instances.size }
}
