import type { Outcome } from '@tintype/lib/photo/record.ts'
import type { WitnessCounts } from '../../directory/witnesses.ts'

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
  metrics: Count
  traces: Outcomes | null
  logs: Outcomes | null
  fromMs: number
  toMs: number
  scrapeMs: number
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
  const all: [witness: string, says: string, ids: string[]][] = [
    ['traces', 'lack photos that the logs have', photosOf(logs, isLost)],
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
      says: `count ${metrics[outcome]} ${outcome}, the others ${others[outcome]}, which is beyond ${bound}`,
      ids: [],
    }))
}
