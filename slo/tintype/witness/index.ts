import { join } from 'node:path'
import type { Outcome } from '@tintype/lib/photo/record.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { sourceOf } from '@tintype/lib/telemetry/entry.ts'
import type { Stores } from '../../diagnose/open-examples.ts'
import type { WitnessCounts, WitnessModule } from '../../directory/witnesses.ts'
import { type LogEntry, readEntries } from '../log-entries.ts'
import { attributeOf, coveredIn, filesSince, spansIn } from './otlp.ts'

/** Compares the traces of DATA_DIR and the log server's entries with the metrics of the objective `latency`. */
export const compareWitnesses: WitnessModule['compareWitnesses'] = async given => {
  const { stores, scrapeMs } = given
  const counted = given.counted('latency')
  if (!counted) return null
  const { good: kept, bad: broken, span } = counted
  const [fromMs, toMs] = [span.from * 60_000, span.to * 60_000]
  const folder = join(stores.dataDir, 'traces')
  const [traces, logs, covered] = await Promise.all([
    outcomesInTraces(folder, fromMs, toMs),
    outcomesInLogs(stores, fromMs, toMs),
    coveredIn(folder, fromMs),
  ])
  // Trace files are removed by age and size, and are written only while no collector is set: a part is no witness.
  const isPart = logs
    ? logs.photos.values().some(({ at, source = '', traced }) => {
        const { fromMs = 0, untilMs = toMs } = covered.get(source) ?? {}
        return traced && (at < fromMs || (at > untilMs + scrapeMs && at < toMs - scrapeMs))
      })
    : // The probe's first journey, with which the SLO begins, leaves a trace within its first two minutes.
      Math.min(...covered.values().map(each => each.fromMs)) > fromMs + 120_000
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

/**
 * `at`: epoch milliseconds. `traced`: false for a photo that a sampler left out of the traces. `source`: the process that
 * settled it, as `service.instance`.
 */
export type Seen = { outcome: Outcome; at: number; traced?: boolean; source?: string }

/** The outcomes in one store of telemetry by photo, and the restarts of counting processes in that store. */
export type Outcomes = { photos: Map<string, Seen>; restarts: number }

type Disagreement = WitnessCounts['disagreements'][number]
type Count = { kept: number; broken: number }

const maxNamed = 100

export type MeasuredOutcomes = {
  fromMs: number
  toMs: number
  scrapeMs: number
  metrics: Count
  traces: Outcomes | null
  logs: Outcomes | null
}

/**
 * Compares the witnesses. Traces and logs name each photo, so they must agree on each, except within a scrape interval
 * of the window's ends. Metrics only count, and get an outcome with the next scrape: they may differ by the outcomes
 * near the ends, and for each restart by those of the busiest scrape interval.
 */
export function compare({ metrics, traces, logs, fromMs, toMs, scrapeMs }: MeasuredOutcomes): WitnessCounts {
  const atEnds = ({ at }: Seen) => at < fromMs + scrapeMs || at >= toMs - scrapeMs
  const named = [traces, logs].filter(each => each !== null)
  const most = named.toSorted((one, other) => other.photos.size - one.photos.size)[0]
  const outcomes = [...(most?.photos.values() ?? [])].filter(({ outcome }) => outcome !== 'void')
  const restarts = Math.max(0, ...named.map(each => each.restarts))
  const bound = outcomes.filter(atEnds).length + restarts * busiest(outcomes, scrapeMs)

  const counts = { metrics, traces: count(traces), logs: count(logs) }
  const disagreements = [
    ...(traces && logs ? differences(traces, logs, atEnds) : []),
    ...(most ? metricsBeyond(metrics, count(most) as Count, bound) : []),
  ]
  return { counts, agree: named.length > 0 && disagreements.length === 0, bound, disagreements }
}

function count(outcomes: Outcomes | null): Count | null {
  if (!outcomes) return null
  const all = Map.groupBy(outcomes.photos.values(), ({ outcome }) => outcome)
  return { kept: all.get('kept')?.length ?? 0, broken: all.get('broken')?.length ?? 0 }
}

/** The largest number of outcomes in any interval of this length, which a kill can lose from the counters. */
function busiest(outcomes: Seen[], intervalMs: number): number {
  const times = outcomes.map(({ at }) => at).sort((one, other) => one - other)
  let first = 0
  let most = 0
  for (const [i, at] of times.entries()) {
    while (at - (times[first] as number) >= intervalMs) first++
    most = Math.max(most, i - first + 1)
  }
  return most
}

function differences(traces: Outcomes, logs: Outcomes, atEnds: (seen: Seen) => boolean): Disagreement[] {
  const photosOf = ({ photos }: Outcomes, isSo: (photo: string, seen: Seen) => boolean) =>
    [...photos].flatMap(([photo, seen]) => (!atEnds(seen) && isSo(photo, seen) ? photo : []))
  const differs = (photo: string, { outcome }: Seen) =>
    (logs.photos.get(photo)?.outcome ?? outcome) !== outcome
  const isLost = (photo: string, { traced }: Seen) => traced !== false && !traces.photos.has(photo)
  const why = logs.restarts > 0 ? ' (a process began anew: a kill loses the traces of its last second)' : ''
  const all: [witness: string, says: string, ids: string[]][] = [
    ['traces', `lack photos that the logs have${why}`, photosOf(logs, isLost)],
    ['logs', 'lack photos that the traces have', photosOf(traces, photo => !logs.photos.has(photo))],
    ['traces', 'give photos another outcome than the logs', photosOf(traces, differs)],
  ]
  return all.flatMap(([witness, says, ids]) =>
    ids.length === 0 ? [] : { witness, says: `${says}: ${ids.length}`, ids: ids.sort().slice(0, maxNamed) },
  )
}

function metricsBeyond(metrics: Count, others: Count, bound: number): Disagreement[] {
  return (['kept', 'broken'] as const)
    .filter(outcome => Math.abs(metrics[outcome] - others[outcome]) > bound)
    .map(outcome => ({
      witness: 'metrics',
      says: `count ${metrics[outcome]} ${outcome}, the others ${others[outcome]}; scrapes and restarts explain a difference of ${bound}`,
      ids: [],
    }))
}
