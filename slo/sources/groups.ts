import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Counter, Minute, Objective, Sli, Source } from './index.ts'
import { counterOf, withMatchers } from './promql.ts'

/**
 * Replaces each grouped objective by one for each value of its label that was seen in [from, to). `onLeftOut` is called
 * with an objective that has no or too many groups, and a text that says so.
 */
export async function grouped(
  source: Pick<Source, 'labelValues'>,
  objectives: readonly Objective[],
  from: Minute,
  to: Minute,
  onLeftOut: (objective: Objective, why: string) => void = () => {},
): Promise<Objective[]> {
  const all = objectives.map(async objective => {
    const { groupBy, group, sli } = objective
    if (groupBy === null || group !== null) return [objective]
    const values = await source.labelValues(sli, groupBy, from, to)
    const most = limits.objectiveGroups.value
    countLimit('objectiveGroups', Math.max(0, values.length - most))
    if (values.length > most)
      onLeftOut(objective, `${values.length - most} values of ${groupBy} are too many`)
    if (values.length === 0) onLeftOut(objective, `no value of ${groupBy} was seen`)
    return values.slice(0, most).map(value => groupOf(objective, groupBy, value))
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

/** The indicator of one value of a label. */
export function sliOf(sli: Sli, label: string, value: string): Sli {
  const narrowed = (promql: string) => withMatchers(promql, { [label]: value })
  const counter = ({ promql }: Counter): Counter => counterOf(narrowed(promql))
  return sli.kind === 'ratio'
    ? { ...sli, part: counter(sli.part), total: counter(sli.total) }
    : { ...sli, gauge: narrowed(sli.gauge) }
}

/** The id of a group's objective; the id itself when it is no group's. */
export const ungrouped = (id: string): string => id.split('{')[0] as string
