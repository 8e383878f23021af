import { recorded, window } from '../slo/alerts/rules.ts'
import { complement, toNumber } from '../slo/math/fraction.ts'
import { readObjectives } from '../slo/objectives/objectives.ts'
import type { Objective, Tier } from '../slo/sources/index.ts'
import { type DashboardSpec, type PanelSpec, target } from './spec.ts'

const objectives = readObjectives()
const named = (name: string): Objective => {
  const found = objectives.find(each => each.name === name)
  if (!found) throw new Error(`slo/objectives has no objective "${name}"; the Promise dashboard shows it`)
  return found
}
const [availability, latency] = [named('availability'), named('latency')]

const of = (metric: string, { name }: Objective): string => `${metric}{objective="${name}", ${target}}`
const [offline, probed] = [of(recorded.bad, availability), of(recorded.total, availability)]
const [kept, promised] = [of(recorded.good, latency), of(recorded.total, latency)]

/** 1 online, 0 offline, 2 offline because nobody knows: nothing was counted in that minute. */
const state = `2 * (${offline} unless ${probed} > 0) or 1 - ${offline}`
/** Above the values of the state: the strip shows both. */
const fires = 3
const states = {
  0: { text: 'offline', means: 'broken' },
  1: { text: 'online', means: 'good' },
  2: { text: 'no data', means: 'unknown' },
  [fires]: { text: 'fires', means: 'late' },
} as const

const allowedMinutes = availability.windowMinutes * toNumber(complement(availability.target))

const stat = (panel: Omit<PanelSpec, 'kind' | 'width' | 'height'>): PanelSpec => ({
  kind: 'stat',
  width: 4,
  height: 4,
  ...panel,
})

const lines = (panel: Omit<PanelSpec, 'kind' | 'width' | 'height'>): PanelSpec => ({
  kind: 'timeseries',
  width: 12,
  height: 7,
  ...panel,
})

/** How long a budget lasts when the last hour goes on: nothing where nothing was bad. */
const lasts = (objective: Objective): string =>
  `clamp_min(${of(recorded.budgetLeft, objective)}, 0) / (${window(of(recorded.bad, objective), 60)} / 60 > 0)`

/** The burn of both windows of a tier as a part of what fires it: 1 is the alert. */
function nearness(objective: Objective, tier: Tier): string {
  const bad = (minutes: number) => window(of(recorded.bad, objective), minutes)
  const part = (minutes: number) => {
    const { numerator, denominator } = tier.threshold
    const whole = tier.of === 'nominal' ? minutes : `(${window(of(recorded.total, objective), minutes)} > 0)`
    const burn = `${bad(minutes)} * ${denominator} / (${numerator} * ${whole})`
    return tier.of === 'nominal' ? `(${burn})` : `(${burn} or 0 * ${bad(minutes)})`
  }
  const [long, short] = [part(tier.longMinutes), part(tier.shortMinutes)]
  return `(${long} <= ${short} or ${short}) * (${bad(tier.longMinutes)} >= bool ${tier.minimumBad})`
}

const hours = (minutes: number): string => (minutes < 60 ? `${minutes} min` : `${minutes / 60} h`)
const burns = (objective: Objective, more: string): PanelSpec =>
  lines({
    title: `Which alert is near: ${objective.displayName.toLowerCase()}?`,
    description:
      `How fast the budget goes, as a part of the speed at which each alert fires: at 100 % it fires.${more} ` +
      'What to do then: the runbook, by the link above.',
    links: [{ title: 'Runbook', url: `$promises/${objective.runbook}` }],
    unit: 'percentunit',
    min: 0,
    softMax: 1.2,
    decimals: 0,
    queries: objective.tiers.map(tier => ({
      expr: nearness(objective, tier),
      legend: `${tier.name}: ${hours(tier.longMinutes)} at ${tier.factor}×`,
    })),
    thresholds: [{ above: 1, means: 'late' }],
  })

/** For everyone: are the promises kept, since when not, and how much may still go wrong? */
export const promise: DashboardSpec = {
  uid: 'tintype-promise',
  title: 'Tintype · Promise',
  description: 'Is the service online, are the promises kept, and how much may still go wrong today?',
  from: recorded.bad,
  hours: 24,
  rows: [
    {
      title: 'Now, and the last 24 hours',
      panels: [
        stat({
          title: 'Is it online?',
          description:
            'The last whole minute, as the synthetic user saw it. No data counts as offline, and says so.',
          unit: 'none',
          queries: [{ expr: state, legend: 'now' }],
          values: states,
        }),
        stat({
          title: 'Downtime left',
          description: `Minutes that it may still be offline, of ${allowedMinutes} in any ${availability.windowMinutes / 60} hours. Below zero the promise is broken.`,
          unit: 'suffix: min',
          decimals: 0,
          queries: [{ expr: of(recorded.budgetLeft, availability), legend: 'left' }],
          thresholds: [
            { above: 0, means: 'late' },
            { above: allowedMinutes / 4, means: 'good' },
          ],
        }),
        stat({
          title: 'Thumbnails in time',
          description: `Photos kept of kept and broken, last 24 hours. The objective is ${toNumber(latency.target) * 100} %.`,
          unit: 'percentunit',
          decimals: 2,
          nothing: 'no photo yet',
          queries: [
            {
              expr: `${window(kept, latency.windowMinutes)} / (${window(promised, latency.windowMinutes)} > 0)`,
              legend: 'in time',
            },
          ],
          thresholds: [{ above: toNumber(latency.target), means: 'good' }],
        }),
        stat({
          title: 'Late photos left',
          description:
            'Of 100 photos one may be late: what is left of that for the photos of the last 24 hours. Below zero the promise is broken.',
          unit: 'none',
          decimals: 0,
          queries: [{ expr: `floor(${of(recorded.budgetLeft, latency)})`, legend: 'left' }],
          thresholds: [{ above: 0, means: 'good' }],
        }),
        stat({
          title: 'That will do for',
          description: 'Until each budget is gone, if the last hour goes on like this.',
          unit: 's',
          decimals: 0,
          nothing: 'nothing is lost',
          queries: [availability, latency].map(objective => ({
            expr: `60 * ${lasts(objective)}`,
            legend: objective.name,
          })),
          thresholds: [
            { above: 3600, means: 'late' },
            { above: 24 * 3600, means: 'good' },
          ],
        }),
        stat({
          title: 'Alerts firing',
          description:
            'Alerts of the promises that fire now; the strip below names them. What to do stands in the runbooks, by the links of the panels below.',
          unit: 'none',
          queries: [{ expr: `count(ALERTS{alertstate="firing", ${target}}) or vector(0)`, legend: 'firing' }],
          values: { 0: { text: 'none', means: 'good' } },
          thresholds: [{ above: 1, means: 'late' }],
        }),
        {
          kind: 'strip',
          title: 'The day',
          description:
            'Each minute of the last 24 hours: online, offline, or offline because nothing was measured; below it the alerts that fired.',
          unit: 'none',
          width: 24,
          height: 4,
          lastDay: true,
          values: states,
          queries: [
            { expr: state, legend: 'service' },
            {
              expr: `${fires} * max by (objective, tier) (ALERTS{alertstate="firing", ${target}})`,
              legend: '{{objective}}, {{tier}}',
            },
          ],
        },
        lines({
          title: 'How much of each budget is left?',
          description: '100 % is the whole budget of a day. Below zero a promise is broken.',
          unit: 'percentunit',
          decimals: 0,
          max: 1,
          queries: [availability, latency].map(objective => ({
            expr: of(recorded.budgetLeftRatio, objective),
            legend: objective.displayName,
          })),
          thresholds: [{ above: 0, means: 'good' }],
        }),
        lines({
          title: 'Photos in time and late',
          description: 'Promises settled in each minute.',
          unit: 'none',
          decimals: 0,
          min: 0,
          stacked: true,
          queries: [
            { expr: kept, legend: 'in time' },
            { expr: of(recorded.bad, latency), legend: 'late' },
          ],
        }),
        burns(availability, ''),
        burns(
          latency,
          ` At least ${latency.minimumBad.page} late photos page, ${latency.minimumBad.ticket} make a ticket.`,
        ),
      ],
    },
  ],
}
