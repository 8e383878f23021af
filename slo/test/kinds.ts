import { parseObjectives } from '../objectives/objectives.ts'
import type { Objective } from '../sources/index.ts'

const promises = (outcome: string) => `tintype_promises_total{outcome=~"${outcome}"}`
export const metric = (query: string) => ({ metricSource: { type: 'Prometheus', spec: { query } } })
export const ratio = (part: Record<string, string>, total: string) => ({
  ratioMetric: {
    counter: true,
    ...Object.fromEntries(Object.entries(part).map(([name, query]) => [name, metric(query)])),
    total: metric(total),
  },
})

/** An OpenSLO document as JSON, which is YAML. */
export const openSlo = (
  name: string,
  indicator: object,
  {
    window = '1d',
    method = 'Occurrences',
    service = 'tintype',
    groupBy,
    calendar,
    ...objective
  }: Record<string, unknown>,
): string =>
  JSON.stringify({
    apiVersion: 'openslo/v1',
    kind: 'SLO',
    metadata: { name, ...(groupBy ? { annotations: { 'slo/group-by': groupBy } } : {}) },
    spec: {
      service,
      indicator: { spec: indicator },
      timeWindow: [{ duration: window, isRolling: !calendar, ...(calendar ? { calendar } : {}) }],
      budgetingMethod: method,
      objectives: [objective],
    },
  })

const slices = { method: 'Timeslices', timeSliceTarget: 0.9 }
const all = promises('kept|broken')

/** Objectives over the counters of a simulated day, of every kind that counts samples. */
export const countedKinds = objectivesIn(
  openSlo('bad-slices', ratio({ bad: promises('broken') }, `sum(${all})`), {
    ...slices,
    target: 0.95,
    window: '7d',
  }),
  openSlo('bad-events', ratio({ bad: `sum by (job) (${promises('broken')})` }, all), {
    target: 0.99,
    window: '30d',
  }),
  // The bad events are not among the total's series.
  openSlo('apart', ratio({ bad: promises('broken') }, promises('kept')), { target: 0.9 }),
  openSlo('grouped', ratio({ good: promises('kept') }, all), { target: 0.97, groupBy: 'job' }),
  openSlo('grouped-slices', ratio({ bad: promises('broken') }, all), {
    ...slices,
    target: 0.9,
    groupBy: 'job',
  }),
)

/** Objectives that only a Prometheus can compute. */
export const computedKinds = objectivesIn(
  openSlo(
    'grouped-threshold',
    { thresholdMetric: metric('sum by (job) (rate(tintype_promises_total{outcome="broken"}[2m]))') },
    { ...slices, op: 'lte', value: 0.001, target: 0.99, groupBy: 'job' },
  ),
  openSlo(
    'grouped-sum',
    ratio({ good: `sum by (job) (${promises('kept')}) + 0` }, `sum by (job) (${all}) + 0`),
    {
      target: 0.97,
      groupBy: 'job',
    },
  ),
  openSlo('two-counters', ratio({ good: `sum(${promises('kept')}) + 0` }, `sum(${all}) + 0`), {
    target: 0.99,
  }),
  openSlo(
    'computed-slices',
    ratio({ bad: `max by (job) (${promises('broken')})` }, `max by (job) (${all})`),
    {
      ...slices,
      target: 0.9,
      window: '7d',
    },
  ),
  openSlo(
    'threshold',
    { thresholdMetric: metric('sum(rate(tintype_promises_total{outcome="broken"}[2m]))') },
    {
      ...slices,
      op: 'lte',
      value: 0.001,
      target: 0.99,
    },
  ),
)

/** The objectives of OpenSLO documents. @throws when a document has a finding */
export function objectivesIn(...texts: string[]): Objective[] {
  const parsed = texts.flatMap(text => parseObjectives('kinds.yaml', text))
  const [wrong] = parsed.flatMap(({ findings }) => findings)
  if (wrong) throw new Error(wrong.message)
  return parsed.flatMap(({ objectives }) => objectives)
}
