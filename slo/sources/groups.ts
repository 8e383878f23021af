import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Counter, Matcher, Minute, Objective, Sli, Source } from './index.ts'
import { counterOf, withMatchers } from './promql.ts'

/** A group without events for this time has ended, also in the generated rules, or it would stay offline. */
export const goneMinutes = 1_440

/**
 * Replaces each grouped objective by one for each value of its label that was seen in [from, to), first those that have
 * not ended. `onLeftOut` is called with an objective that has no or too many groups, and a text that says so.
 */
export async function grouped(
  source: Pick<Source, 'labelValues'>,
  objectives: readonly Objective[],
  from: Minute,
  to: Minute,
  onLeftOut: (objective: Objective, why: string) => void,
): Promise<Objective[]> {
  const all = objectives.map(async objective => {
    const { groupBy, group, sli } = objective
    if (groupBy === null || group !== null) return [objective]
    const seenFrom = (minute: Minute) => source.labelValues(sli, groupBy, minute, to)
    const begin = Math.max(from, to - goneMinutes)
    const values = await seenFrom(begin)
    const tooMany = Math.max(0, values.length - limits.objectiveGroups.value)
    countLimit('objectiveGroups', tooMany)
    if (tooMany > 0) onLeftOut(objective, `${tooMany} values of ${groupBy} are too many`)
    const known = begin === from ? values : new Set([...values, ...(await seenFrom(from))])
    const groups = [...known].slice(0, limits.objectiveGroups.value)
    if (groups.length === 0) onLeftOut(objective, `no value of ${groupBy} was seen`)
    return groups.map(value => groupOf(objective, groupBy, value))
  })
  return (await Promise.all(all)).flat()
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
