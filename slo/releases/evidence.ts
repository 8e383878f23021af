import type { Series } from '../diagnose/evaluate.ts'
import type { Releases } from '../directory.ts'
import type { Objective, Selector } from '../sources/index.ts'
import { parseSelector } from '../sources/promql.ts'
import { matches } from '../sources/selector.ts'
import type { Counts } from './exact.ts'

/** A time over which both versions are counted, epoch milliseconds. */
export type Span = { from: number; to: number }
/** `together`: those in which both had customers. Only in them are times compared: with more to do, any version is slower. */
export type Spans = Pair<readonly Span[]> & { together: readonly Span[] }
/** Both versions over the same time. */
export type Pair<T> = { old: T; new: T }

/** What is compared: events that went wrong, or (with `seconds`, the means) how many took longer than most. */
export type Compared = {
  what: string
  process: string
  stage: string
  counts: Pair<Counts>
  seconds?: Pair<number> & { floorRatio: number; floorSeconds: number }
}

/** Bytes of each process at each scrape, oldest first. */
export type Memory = { instance: string; process: string; bytes: number[]; oldMost: number }

export type Counted = {
  objectives: { objective: Objective; counts: Pair<Counts> }[]
  compared: Compared[]
  memory: Memory[]
  /** Instances of the new version, each with the time of its last sample. */
  seen: { instance: string; at: number }[]
}

/** The names of all metrics that `count` needs. */
export const metricsOf = (
  { buildInfo, compare, memory }: Releases,
  objectives: readonly Objective[],
): string[] => [
  ...new Set([
    buildInfo,
    memory,
    ...countedOf(objectives).flatMap(({ part, total }) => [part.metric, total.metric]),
    ...compare.flatMap(each =>
      'seconds' in each
        ? ['bucket', 'sum', 'count'].map(part => `${selector(each.seconds).metric}_${part}`)
        : [selector(each.bad).metric, selector(each.total).metric],
    ),
  ]),
]

/** Objectives whose events each instance counts itself. What is computed, or a minute of the probe, is no version's. */
export const countedOf = (objectives: readonly Objective[]) =>
  objectives.flatMap(objective => {
    const { sli, method } = objective
    if (method !== 'Occurrences' || sli.kind !== 'ratio' || !sli.part.selector || !sli.total.selector)
      return []
    const { part, total, counts } = sli
    return [
      {
        objective,
        part: part.selector as Selector,
        total: total.selector as Selector,
        isBad: counts === 'bad',
      },
    ]
  })

function selector(text: string): Selector {
  const parsed = parseSelector(text)
  if (!parsed) throw new Error(`service.yaml, releases: "${text}" is no selector of one metric`)
  return parsed
}

const instanceOf = ({ job, instance }: Record<string, string>): string => `${job}.${instance}`

/**
 * What each version did in the spans. A series belongs to the version that its instance's `buildInfo` names: no other metric
 * carries a label for it.
 */
export function count(
  series: readonly Series[],
  releases: Releases,
  objectives: readonly Objective[],
  versions: Pair<string>,
  spans: Spans,
): Counted {
  const known = lives(series, releases.buildInfo)
  /** What the instances of a version told while they were of it: a place may have been another version's before. */
  const of = (which: keyof typeof versions): Series[] =>
    series.flatMap(each => {
      const life = known.get(instanceOf(each.labels))
      if (life?.version !== versions[which]) return []
      return [{ ...each, points: each.points.filter(({ at }) => at >= life.from) }]
    })
  const all = { old: of('old'), new: of('new') }
  const both = <T>(of: (all: Series[], which: keyof typeof versions) => T): Pair<T> => ({
    old: of(all.old, 'old'),
    new: of(all.new, 'new'),
  })
  const sumIn =
    (spansOf: Pair<readonly Span[]>): Sum =>
    (all, { metric, matchers }, which) =>
      all
        .filter(({ name, labels }) => name === metric && matches({ matchers }, labels))
        .reduce((total, each) => total + grown(each.points, spansOf[which], which === 'new'), 0)
  const sum = sumIn(spans)
  const sumTogether = sumIn({ old: spans.together, new: spans.together })

  return {
    objectives: countedOf(objectives).map(({ objective, part, total, isBad }) => ({
      objective,
      counts: both((all, which) => {
        const [some, events] = [sum(all, part, which), sum(all, total, which)]
        return { bad: isBad ? some : Math.max(0, events - some), total: events }
      }),
    })),
    compared: releases.compare.map(each => {
      const { what, process, stage } = each
      if ('bad' in each)
        return {
          what,
          process,
          stage,
          counts: both((all, which) => ({
            bad: sum(all, selector(each.bad), which),
            total: sum(all, selector(each.total), which),
          })),
        }
      return { what, process, stage, ...times(each, both, sumTogether) }
    }),
    memory: memoryOf(all, releases, spans.new),
    seen: [...known]
      .filter(([, { version }]) => version === versions.new)
      .map(([instance, { to }]) => ({ instance, at: to })),
  }
}

/** Which version each instance is now, and since when. */
function lives(series: readonly Series[], buildInfo: string) {
  const found = new Map<string, { version: string } & Span>()
  for (const { name, labels, points } of series) {
    if (name !== buildInfo || points.length === 0) continue
    const life = { version: labels.version ?? '', from: points[0]?.at ?? 0, to: points.at(-1)?.at ?? 0 }
    const instance = instanceOf(labels)
    if (life.to > (found.get(instance)?.to ?? 0)) found.set(instance, life)
  }
  return found
}

type Timed = Extract<Releases['compare'][number], { seconds: string }>
type Both = <T>(of: (all: Series[], which: 'old' | 'new') => T) => Pair<T>
type Sum = (all: readonly Series[], selector: Selector, which: 'old' | 'new') => number

/** The means, and how many were slower than the bound of the histogram that cuts all events nearest to the middle. */
function times({ seconds, floorRatio, floorSeconds }: Timed, both: Both, sum: Sum) {
  const { metric, matchers } = selector(seconds)
  const of = (part: string, more: Selector['matchers'] = []) => ({
    metric: `${metric}_${part}`,
    matchers: [...matchers, ...more],
  })
  const totals = both((all, which) => sum(all, of('count'), which))
  const sums = both((all, which) => sum(all, of('sum'), which))
  const bounds = both(all => [
    ...new Set(
      all.filter(({ name }) => name === `${metric}_bucket`).map(({ labels }) => labels.le ?? '+Inf'),
    ),
  ]).old.filter(le => le !== '+Inf')
  const slower = bounds.map(le => {
    const within: Selector['matchers'] = [{ label: 'le', operator: '=', value: le }]
    return both((all, which) => {
      const total = totals[which]
      return { bad: Math.max(0, total - sum(all, of('bucket', within), which)), total }
    })
  })
  const middle = (totals.old + totals.new) / 2
  const off = ({ old, new: other }: Pair<Counts>) => Math.abs(old.bad + other.bad - middle)
  const none = { old: { bad: 0, total: totals.old }, new: { bad: 0, total: totals.new } }
  return {
    counts: slower.reduce((best, each) => (off(each) < off(best) ? each : best), none),
    seconds: {
      old: sums.old / totals.old,
      new: sums.new / totals.new,
      floorRatio,
      floorSeconds,
    },
  }
}

/** How much a counter grew in the spans. A process of the new version counts from zero, also before its first sample. */
export function grown(
  points: readonly { at: number; value: number }[],
  spans: readonly Span[],
  bornAtZero: boolean,
): number {
  let total = 0
  for (const { from, to } of spans) {
    let before = points.findLast(({ at }) => at <= from)?.value ?? (bornAtZero ? 0 : undefined)
    for (const { at, value } of points) {
      if (at <= from || at > to) continue
      // A counter that fell belongs to a process that began anew.
      if (before !== undefined) total += value >= before ? value - before : value
      before = value
    }
  }
  return total
}

function memoryOf(all: Pair<Series[]>, { memory }: Releases, spans: readonly Span[]): Memory[] {
  const inSpans = ({ at }: { at: number }) => spans.some(({ from, to }) => at > from && at <= to)
  const of = (which: 'old' | 'new') => all[which].filter(({ name }) => name === memory)
  return of('new').map(({ labels, points }) => ({
    instance: instanceOf(labels),
    process: labels.job ?? '',
    bytes: points.filter(inSpans).map(({ value }) => value),
    oldMost: Math.max(
      0,
      ...of('old')
        .filter(each => each.labels.job === labels.job)
        .flatMap(each => each.points.filter(inSpans).map(({ value }) => value)),
    ),
  }))
}
