import { increaseIn, samplesOf, windowOf } from '../../slo/diagnose/evaluate.ts'
import type { Releases } from '../../slo/directory/service.ts'
import { isCounterValue } from '../../slo/sources/counter.ts'
import type { Objective, Selector, Series } from '../../slo/sources/index.ts'
import { parseSelector } from '../../slo/sources/promql.ts'
import type { Counts } from './exact.ts'

/** Epoch milliseconds. */
export type MsRange = { from: number; to: number }
export type Pair<T> = { old: T; new: T }
/** When each version had customers, and when both had: more traffic is slower, so times of `together` are compared. */
export type CustomerTimes = Pair<readonly MsRange[]> & { together: readonly MsRange[] }

/** Counts of bad events. With `seconds`, the mean times, `bad` counts the events that took longer than most. */
export type VersionComparison = {
  what: string
  process: string
  stage: string
  counts: Pair<Counts>
  seconds?: Pair<number> & { floorRatio: number; floorSeconds: number }
}

export type VersionCounts = ReturnType<typeof countVersions>
/** Memory in bytes of each process at each scrape, oldest first. */
export type Memory = ReturnType<typeof memoryOf>[number]

export const metricsOf = (
  { buildInfo, compare, memory }: Releases,
  objectives: readonly Objective[],
): string[] => [
  ...new Set([
    buildInfo,
    memory,
    ...countedOf(objectives).flatMap(({ part, total }) => [part.metric, total.metric]),
    ...compare.flatMap(each =>
      each.seconds
        ? ['bucket', 'sum', 'count'].map(part => `${selector(each.seconds).metric}_${part}`)
        : [selector(each.bad).metric, selector(each.total).metric],
    ),
  ]),
]

/** Objectives whose events each instance counts. Computed expressions and the probe's minutes belong to no version. */
export const countedOf = (objectives: readonly Objective[]) =>
  objectives.flatMap(objective => {
    const { sli, method } = objective
    if (method !== 'Occurrences' || sli.kind !== 'ratio') return []
    const [part, total] = [sli.part.selector, sli.total.selector]
    return part && total ? [{ objective, part, total, isBad: sli.counts === 'bad' }] : []
  })

function selector(text = ''): Selector {
  const parsed = parseSelector(text)
  if (!parsed) throw new Error(`service.yaml, releases: "${text}" is not a selector of one metric`)
  return parsed
}

const instanceOf = ({ job, instance }: Record<string, string>): string => `${job}.${instance}`

const both = <T>(of: (which: keyof Pair<T>) => T): Pair<T> => ({ old: of('old'), new: of('new') })
const countsOf = (bad: Pair<number>, total: Pair<number>): Pair<Counts> =>
  both(which => ({ bad: Math.max(0, bad[which]), total: total[which] }))
const minus = (one: Pair<number>, other: Pair<number>): Pair<number> =>
  both(which => one[which] - other[which])

/** The counts of each version in its spans. A series belongs to the version in its instance's `buildInfo`. */
export function countVersions(
  series: readonly Series[],
  releases: Releases,
  objectives: readonly Objective[],
  versions: Pair<string>,
  spans: CustomerTimes,
) {
  const known = lives(series, releases.buildInfo)
  // Earlier samples of an instance may be those of another version.
  const all = both(which =>
    series.flatMap(each => {
      const life = known.get(instanceOf(each.labels))
      if (life?.version !== versions[which]) return []
      return [{ ...each, points: each.points.filter(({ at }) => at >= life.from) }]
    }),
  )
  const counters = both(which => samplesOf(all[which].map(each => counterOf(each, which === 'new'))))
  const sumIn =
    (spansOf: Pair<readonly MsRange[]>): Sum =>
    selector =>
      both(which => {
        const spans = spansOf[which].map(({ from, to }) => ({ fromMs: from, toMs: to }))
        const of = windowOf(counters[which], { fromMs: 0, toMs: 0 })
        return increaseIn(selector, of, spans).reduce((total, { value }) => total + value, 0)
      })
  const sum = sumIn(spans)
  const sumTogether = sumIn({ old: spans.together, new: spans.together })
  return {
    objectives: countedOf(objectives).map(({ objective, part, total, isBad }) => {
      const events = sum(total)
      return { objective, counts: countsOf(isBad ? sum(part) : minus(events, sum(part)), events) }
    }),
    compared: releases.compare.map(
      ({ what, process, stage, ...each }): VersionComparison => ({
        what,
        process,
        stage,
        ...(each.seconds
          ? times(each, all.old, sumTogether)
          : { counts: countsOf(sum(selector(each.bad)), sum(selector(each.total))) }),
      }),
    ),
    memory: memoryOf(all, releases, spans.new),
    /** Instances of the new version, with the time of each one's last sample. */
    seen: [...known]
      .filter(([, { version }]) => version === versions.new)
      .map(([instance, { to }]) => ({ instance, at: to })),
  }
}

/** The current version of each instance, and since when it runs. */
function lives(series: readonly Series[], buildInfo: string) {
  const found = new Map<string, { version: string } & MsRange>()
  for (const { name, labels, points } of series) {
    if (name !== buildInfo || points.length === 0) continue
    const life = { version: labels.version ?? '', from: points[0]?.at ?? 0, to: points.at(-1)?.at ?? 0 }
    const instance = instanceOf(labels)
    if (life.to > (found.get(instance)?.to ?? 0)) found.set(instance, life)
  }
  return found
}

type Timed = Pick<Releases['compare'][number], 'seconds' | 'floorRatio' | 'floorSeconds'>
type Sum = (selector: Selector) => Pair<number>

/** The mean times, and how many events were slower than the bucket's bound that is nearest to the common median. */
function times({ seconds, floorRatio, floorSeconds }: Timed, old: readonly Series[], sum: Sum) {
  const { metric, matchers } = selector(seconds)
  const of = (part: string, more: Selector['matchers'] = []) =>
    sum({ metric: `${metric}_${part}`, matchers: [...matchers, ...more] })
  const [total, sums] = [of('count'), of('sum')]
  const bounds = new Set(
    old.flatMap(({ name, labels }) => (name === `${metric}_bucket` ? [labels.le ?? '+Inf'] : [])),
  )
  const slower = [...bounds]
    .filter(le => le !== '+Inf')
    .map(value => countsOf(minus(total, of('bucket', [{ label: 'le', operator: '=', value }])), total))
  const middle = (total.old + total.new) / 2
  const off = (each: Pair<Counts>) => Math.abs(each.old.bad + each.new.bad - middle)
  const none = countsOf({ old: 0, new: 0 }, total)
  return {
    counts: slower.reduce((best, each) => (off(each) < off(best) ? each : best), none),
    seconds: { ...both(which => sums[which] / total[which]), floorRatio, floorSeconds },
  }
}

/** A new version's process counts from zero, even before its first sample. */
function counterOf(series: Series, bornAtZero: boolean): Series {
  const points = series.points.filter(({ value }) => isCounterValue(value))
  const [first] = bornAtZero ? points : []
  return { ...series, points: first ? [{ at: first.at - 1, value: 0 }, ...points] : points }
}

function memoryOf(all: Pair<Series[]>, { memory }: Releases, spans: readonly MsRange[]) {
  const bytesOf = ({ points }: Series) =>
    points.flatMap(({ at, value }) => (spans.some(({ from, to }) => at > from && at <= to) ? [value] : []))
  const of = (which: keyof Pair<0>) => all[which].filter(({ name }) => name === memory)
  return of('new').map(each => {
    const old = of('old').filter(({ labels }) => labels.job === each.labels.job)
    return {
      instance: instanceOf(each.labels),
      process: each.labels.job ?? '',
      bytes: bytesOf(each),
      oldMost: old.flatMap(bytesOf).reduce((most, each) => Math.max(most, each), 0),
    }
  })
}
