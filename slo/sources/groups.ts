import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Counter, Matcher, Minute, Objective, Sli, Source } from './index.ts'
import { counterOf, withMatchers } from './promql.ts'

/** A group without events for this time has ended, also in the generated rules, or it would stay offline. */
export const goneMinutes = 1_440

/**
 * An objective, or if it is grouped one for each value of its label that was seen in [from, to), first those that have not
 * ended. `leftOut` says that there are no or too many of them.
 */
export async function grouped(
  source: Pick<Source, 'labelValues'>,
  objective: Objective,
  from: Minute,
  to: Minute,
) {
  const { groupBy, group, sli } = objective
  if (groupBy === null || group !== null) return { groups: [objective], leftOut: [] }
  const begin = Math.max(from, to - goneMinutes)
  const values = await source.labelValues(sli, groupBy, begin, to)
  const older = begin === from ? [] : await source.labelValues(sli, groupBy, from, to)
  const tooMany = Math.max(0, values.length - limits.objectiveGroups.value)
  countLimit('objectiveGroups', tooMany)
  const known = [...new Set([...values, ...older])].slice(0, limits.objectiveGroups.value)
  const seen = known.length === 0 ? `no value of ${groupBy} was seen` : ''
  const why = tooMany > 0 ? `${tooMany} values of ${groupBy} are too many` : seen
  return {
    groups: known.map(value => groupOf(objective, groupBy, value)),
    leftOut: why === '' ? [] : [{ objective, why }],
  }
}

export const groupOf = (objective: Objective, label: string, value: string): Objective => ({
  ...objective,
  id: `${objective.id}{${label}=${JSON.stringify(value)}}`,
  displayName: `${objective.displayName} (${value})`,
  group: value,
  sli: sliOf(objective.sli, label, value),
})

/** The indicator of one value of a label, or with `!=` of all other values. */
export function sliOf(sli: Sli, label: string, value: string, operator?: Matcher['operator']): Sli {
  const narrowed = (promql: string) => withMatchers(promql, { [label]: value }, operator)
  const counter = ({ promql }: Counter): Counter => counterOf(narrowed(promql))
  return sli.kind === 'ratio'
    ? { ...sli, part: counter(sli.part), total: counter(sli.total) }
    : { ...sli, gauge: narrowed(sli.gauge) }
}

/** An objective's indicator without the series that belong to no group. */
export const inGroups = ({ sli, groupBy }: Objective): Sli =>
  groupBy === null ? sli : sliOf(sli, groupBy, '', '!=')

/** The id of a group's objective; the id itself when it is no group's. */
export const ungrouped = (id: string): string => id.split('{')[0] as string
