import { recorded, series, window } from '../slo/alerts/recordings.ts'
import { alertName } from '../slo/alerts/rules.ts'
import { complement, toNumber } from '../slo/math/fraction.ts'
import { digitsOf, round } from '../slo/math/standing.ts'
import { toDuration } from '../slo/math/time.ts'
import type { Objective, Tier } from '../slo/sources/index.ts'
import type { Scope } from '../slo/sources/promql.ts'
import { type DashboardSpec, lines, type PanelSpec, type Query } from './spec.ts'

type Recorded = ReturnType<typeof recordedOf>

/** The recorded series of an objective, its alerts, and the legend of its lines. */
function recordedOf(objective: Objective, scope: Scope) {
  const of = (metric: string) => series(metric, objective, scope)
  return {
    objective,
    good: of(recorded.good),
    total: of(recorded.total),
    bad: of(recorded.bad),
    budgetLeft: of(recorded.budgetLeft),
    budgetLeftRatio: of(recorded.budgetLeftRatio),
    firing: of('ALERTS').replace('{', `{alertname="${alertName(objective)}",alertstate="firing",`),
    legend: objective.groupBy ? `${objective.id} {{${objective.groupBy}}}` : objective.id,
  }
}

/** Whether the budget is recorded. Rules cannot look back over a calendar window: only slo's page shows its budget. */
const hasBudget = ({ objective }: Recorded): boolean => objective.calendar === null

const isSlices = ({ objective }: Recorded): boolean => objective.method === 'Timeslices'

/** 1 online, 0 offline, 2 offline without data in that minute. */
const stateOf = ({ bad, total }: Recorded): string => `2 * (${bad} unless ${total} > 0) or 1 - ${bad}`
/** Above the values of the state, because the strip shows both. */
const firing = 3
const states = {
  0: { text: 'offline', means: 'broken' },
  1: { text: 'online', means: 'good' },
  2: { text: 'no data', means: 'unknown' },
  [firing]: { text: 'firing', means: 'late' },
} as const

const percent = (objective: Objective): string =>
  `${round(toNumber(objective.target) * 100, digitsOf(objective) - 2)} %`

const stat = (panel: Omit<PanelSpec, 'kind' | 'width' | 'height'>): PanelSpec => ({
  kind: 'stat',
  width: 5,
  height: 7,
  ...panel,
})

/** The remaining budget: minutes, or events, that the objective allows to be bad. */
function budgetPanel({ objective, budgetLeft, legend }: Recorded): PanelSpec {
  const { unit, windowMinutes, target, method } = objective
  const allowed = windowMinutes * toNumber(complement(target))
  const slices = method === 'Timeslices'
  return stat({
    title: 'Error budget remaining',
    description: slices
      ? `Minutes that may still be offline, of ${+allowed.toFixed(1)} in any ${toDuration(windowMinutes)}.`
      : `Bad ${unit} that are still allowed, by the objective of ${percent(objective)} and the ${unit} of the last ${toDuration(windowMinutes)}.`,
    unit: slices ? 'suffix: min' : 'none',
    decimals: 0,
    queries: [{ expr: `floor(${budgetLeft})`, legend }],
    thresholds: slices
      ? [
          { above: 0, means: 'late' },
          { above: allowed / 4, means: 'good' },
        ]
      : [{ above: 0, means: 'good' }],
  })
}

function indicator(series: Recorded): PanelSpec {
  const { objective, good, bad, legend } = series
  const { unit, windowMinutes, target } = objective
  if (isSlices(series))
    return stat({
      title: 'Current status',
      description: 'The last whole minute; a minute without data counts as offline.',
      unit: 'none',
      queries: [{ expr: stateOf(series), legend }],
      values: states,
    })
  return stat({
    title: 'SLI',
    description: `Good ${unit} of all in the last ${toDuration(windowMinutes)}, with an objective of ${percent(objective)}.`,
    unit: 'percentunit',
    decimals: digitsOf(objective) - 2,
    nothing: `no ${unit} yet`,
    queries: [
      {
        expr: `${window(good, windowMinutes)} / (${window(good, windowMinutes)} + ${window(bad, windowMinutes)} > 0)`,
        legend,
      },
    ],
    thresholds: [{ above: toNumber(target), means: 'good' }],
  })
}

/** Seconds until the budget is exhausted; no value without bad events. */
const exhaustion = ({ budgetLeft, bad, legend }: Recorded): Query => ({
  expr: `3600 * clamp_min(${budgetLeft}, 0) / (${window(bad, 60)} > 0)`,
  legend,
})

/** The burn of both windows of a tier as a share of the firing threshold: the alert fires at 1. */
function nearness(series: Recorded, tier: Tier): string {
  const { good, bad } = series
  const part = (minutes: number) => {
    const { numerator, denominator } = tier.threshold
    const whole = isSlices(series) ? minutes : `(${window(good, minutes)} + ${window(bad, minutes)} > 0)`
    const burn = `${window(bad, minutes)} * ${denominator} / (${numerator} * ${whole})`
    return isSlices(series) ? `(${burn})` : `(${burn} or 0 * ${window(bad, minutes)})`
  }
  const [long, short] = [part(tier.longMinutes), part(tier.shortMinutes)]
  return `(${long} <= ${short} or ${short}) * (${window(bad, tier.longMinutes)} >= bool ${tier.minimumBad})`
}

const runbook = (address: string) => ({
  title: 'Runbook',
  url: /^https?:/.test(address) ? address : `$slo/${address}`,
})

const burns = (series: Recorded): PanelSpec =>
  lines({
    title: 'Burn rate against the alert thresholds',
    description: 'Burn rate divided by the threshold of each alert, which fires at 100 %.',
    links: [runbook(series.objective.runbook)],
    unit: 'percentunit',
    min: 0,
    softMax: 1.2,
    decimals: 0,
    queries: series.objective.tiers.map(tier => ({
      expr: nearness(series, tier),
      legend: `${series.objective.groupBy ? `{{${series.objective.groupBy}}} ` : ''}${tier.name}: ${toDuration(tier.longMinutes)} at ${+tier.factor.toFixed(1)}×`,
    })),
    thresholds: [{ above: 1, means: 'late' }],
  })

const events = ({ objective, good, bad }: Recorded): PanelSpec =>
  lines({
    title: `Good and bad ${objective.unit}`,
    description: `What the objective counted in each minute.`,
    unit: 'none',
    decimals: 0,
    min: 0,
    stacked: 'sum',
    queries: [
      { expr: `sum(${good})`, legend: 'good' },
      { expr: `sum(${bad})`, legend: 'bad' },
    ],
  })

/** The dashboard of all objectives: state, remaining budget, and how near each alert is. */
export function objectivesDashboard(
  objectives: readonly Objective[],
  scope: Scope,
): Pick<DashboardSpec, 'description' | 'hours' | 'rows'> {
  const all = objectives.map(objective => recordedOf(objective, scope))
  const alerts = all.map(({ firing }) => firing).join(' or ')
  return {
    description: 'Are the objectives met, how much of each error budget is left, and which alert is near?',
    hours: 24,
    rows: [
      { title: 'All objectives', panels: [...together(all, alerts), minuteByMinute(all, alerts)] },
      ...all.map(series => ({ title: rowTitle(series.objective), panels: alone(series) })),
    ],
  }
}

const rowTitle = ({ id, displayName }: Objective): string =>
  id === displayName ? id : `${id}: ${displayName}`

/** An objective's row of 24 columns: state, budget, burn rates and, for events, their number. */
function alone(series: Recorded): PanelSpec[] {
  const stats = [indicator(series), ...(hasBudget(series) ? [budgetPanel(series)] : [])]
  const charts = [burns(series), ...(isSlices(series) ? [] : [events(series)])]
  const width = Math.floor((24 - stats.reduce((sum, { width }) => sum + width, 0)) / charts.length)
  return [...stats, ...charts.map(chart => ({ ...chart, width }))]
}

function together(all: readonly Recorded[], alerts: string): PanelSpec[] {
  const budgeted = all.filter(hasBudget)
  const judged = all.map(({ bad }) => bad).join(' or ')
  const panels = [
    stat({
      title: 'Time to exhaustion',
      description: 'Time until each error budget is exhausted at the rate of the last hour.',
      unit: 's',
      decimals: 0,
      nothing: 'nothing lost in the last hour',
      queries: budgeted.map(exhaustion),
      thresholds: [
        { above: 3600, means: 'late' },
        { above: 24 * 3600, means: 'good' },
      ],
    }),
    stat({
      title: 'Alerts firing',
      description: 'Burn rate alerts of these objectives that fire now.',
      unit: 'none',
      // Not `or vector(0)`: while Prometheus evaluates no rules, no alert can fire.
      queries: [{ expr: `count(${alerts}) or 0 * count(${judged})`, legend: 'firing' }],
      values: { 0: { text: 'none', means: 'good' } },
      thresholds: [{ above: 1, means: 'late' }],
    }),
    lines({
      title: 'Error budget remaining over time',
      description: '100 % is the whole budget, and below zero the objective is missed.',
      unit: 'percentunit',
      decimals: 0,
      max: 1,
      width: 14,
      queries: budgeted.map(({ budgetLeftRatio, legend }) => ({ expr: budgetLeftRatio, legend })),
      thresholds: [{ above: 0, means: 'good' }],
    }),
  ]
  return panels.filter(({ queries }) => queries.length > 0)
}

const minuteByMinute = (all: readonly Recorded[], alerts: string): PanelSpec => ({
  kind: 'strip',
  title: 'Status and alerts, minute by minute',
  description: 'Each minute of the last 24 hours, and below it the alerts that fired.',
  unit: 'none',
  width: 24,
  height: 4,
  lastDay: true,
  values: states,
  queries: [
    ...all.filter(isSlices).map(series => ({ expr: stateOf(series), legend: series.legend })),
    { expr: `${firing} * max by (objective, tier) (${alerts})`, legend: '{{objective}}, {{tier}}' },
  ],
})
