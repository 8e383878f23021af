import { complement, type Fraction } from '../math/fraction.ts'
import { toDuration } from '../math/time.ts'
import { gridSeconds } from '../sources/counter.ts'
import type { Objective, Selector, Sli, Tier } from '../sources/index.ts'
import { formatSelector } from '../sources/selector.ts'

/** Prometheus’ rule file, as the parts of it that are generated. */
export type Rule = RecordingRule | AlertRule
export type RecordingRule = { record: string; labels: Record<string, string>; expr: string }
export type AlertRule = {
  alert: string
  expr: string
  keep_firing_for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}
export type RuleFile = { groups: { name: string; interval: string; rules: Rule[] }[] }

/** What the rules record each minute, by objective. */
export const recorded = {
  good: 'tintype:slo_good:increase1m',
  total: 'tintype:slo_total:increase1m',
  bad: 'tintype:slo_bad:count1m',
  budgetLeft: 'tintype:slo_budget_left:count',
  budgetLeftRatio: 'tintype:slo_budget_left:ratio',
} as const

/** A promise is kept by all processes together; dashboards choose every series, and these too, by job and instance. */
const everywhere = { job: 'tintype', instance: 'all' } as const

export const alertName = ({ name }: Pick<Objective, 'name'>): string =>
  `${name.replace(/(^|-)(.)/g, (_, _hyphen, letter: string) => letter.toUpperCase())}BudgetBurn`

/**
 * The objectives as Prometheus rules (2.42 or later: `keep_firing_for`), which fire and clear in the same minute
 * as `fires` and `step` do on the same samples.
 */
export const rules = (objectives: readonly Objective[]): RuleFile => ({
  groups: [
    ...objectives.map(objective => ({
      name: `tintype-${objective.name}`,
      interval: '1m',
      rules: [...recordings(objective), ...objective.tiers.map(tier => alert(objective, tier))],
    })),
    { name: 'tintype-watchdog', interval: '1m', rules: [watchdog] },
  ],
})

function recordings(objective: Objective): RecordingRule[] {
  const { name, sli, method, windowMinutes } = objective
  const [good, total, bad] = [recorded.good, recorded.total, recorded.bad].map(each => series(each, name))
  const sum = (each: string) => window(`${each}`, windowMinutes)
  const allowed = complement(objective.target)
  const whole = method === 'Timeslices' ? String(windowMinutes) : sum(`${total}`)
  const budget = `${whole} * ${allowed.numerator} / ${allowed.denominator}`
  const record = (metric: string, expr: string) => ({
    record: metric,
    labels: { objective: name, ...everywhere },
    expr,
  })
  return [
    record(recorded.total, eachMinute(sli.total, sli)),
    record(recorded.good, `${eachMinute(sli.good, sli)}\nor on() 0 * ${total}`),
    record(
      recorded.bad,
      method === 'Timeslices'
        ? // A minute is bad when anything in it was, and, once the SLO has begun, when there was nothing in it.
          `(${total} != bool ${good}) and ${total} > 0\nor 0 * last_over_time(${bad}[1d]) + 1`
        : `${total} - ${good} >= 0`,
    ),
    record(recorded.budgetLeft, `${budget} - ${sum(`${bad}`)}`),
    record(recorded.budgetLeftRatio, `1 - ${sum(`${bad}`)} / (${budget})`),
  ]
}

const series = (metric: string, objective: string): string => `${metric}{objective="${objective}"}`

/**
 * What the counters of a selector grew in the last whole UTC minute, exactly: `increase` extrapolates. The grid
 * walks the minute in steps; a fallen value counts from zero; a first value counts nothing; NaN and infinite
 * growth is dropped. The outer [1m:1m] holds one whole minute, whenever the group is evaluated.
 * Ranges that end on a sample are closed in Prometheus 2 and open in 3: 55 s hold the same steps in both.
 */
function eachMinute(selector: Selector, { maxGapSeconds }: Sli): string {
  const text = formatSelector(selector)
  const now = `last_over_time(${text}[${toDuration(maxGapSeconds / 60)}])`
  const before = `last_over_time(${text}[${toDuration(maxGapSeconds / 60)}] offset ${gridSeconds}s)`
  return `last_over_time((
  sum(
    sum_over_time((${now} - (${before} <= ${now} or 0 * ${before}))[55s:${gridSeconds}s]) >= 0 < +Inf
  )
)[1m:1m])`
}

/** The recorded minutes of a window: half a minute less holds as many of them, closed or open. */
export const window = (recordedSeries: string, minutes: number): string =>
  `sum_over_time(${recordedSeries}[${minutes === 1 ? '' : `${toDuration(minutes - 1)}`}30s])`

function alert(objective: Objective, tier: Tier): AlertRule {
  return {
    alert: alertName(objective),
    expr: [tier.longMinutes, tier.shortMinutes]
      .map(minutes => condition(objective, tier, minutes))
      .join('\nand\n'),
    keep_firing_for: toDuration(tier.shortMinutes),
    labels: { tier: tier.name, severity: tier.severity },
    annotations: annotations(objective, tier),
  }
}

/** One window of a tier, compared in integers; nothing bad in it is no burn, and too little in the long one neither. */
function condition({ name }: Objective, tier: Tier, minutes: number): string {
  const bad = window(series(recorded.bad, name), minutes)
  const least = minutes === tier.longMinutes ? tier.minimumBad : 1
  const { numerator, denominator }: Fraction = tier.threshold
  const whole = tier.of === 'nominal' ? minutes : window(series(recorded.total, name), minutes)
  return `(${bad} >= ${least}) * ${denominator} >= ${numerator} * ${whole}`
}

function annotations(objective: Objective, { name, longMinutes }: Tier): Record<string, string> {
  const { displayName, runbook, method, windowMinutes, target } = objective
  const left = series(recorded.budgetLeft, objective.name)
  const rate = `(${window(series(recorded.bad, objective.name), longMinutes)} / ${longMinutes * 60})`
  const what = method === 'Timeslices' ? 'minutes' : 'more bad events'
  const { numerator, denominator } = complement(target)
  const of = method === 'Timeslices' ? ` of ${(windowMinutes * numerator) / denominator}` : ''
  return {
    summary: `${displayName}: the budget burns (${name})`,
    description:
      `${ask(left, '{{ . | first | value | printf "%.0f" }}')}${of} ${what} of budget are left in this ${toDuration(windowMinutes)}; ` +
      `at the rate of the last ${toDuration(longMinutes)} they are gone in ` +
      `${ask(`clamp_min(${left}, 0) / ${rate}`, '{{ . | first | value | humanizeDuration }}')}. ` +
      'Which stage: npm run slo -- diagnose.',
    runbook,
  }
}

const ask = (promql: string, show: string): string =>
  `{{ with query ${JSON.stringify(promql)} }}${show}{{ else }}?{{ end }}`

/** Fires always: whoever stops hearing it knows that nobody watches. */
const watchdog: AlertRule = {
  alert: 'Watchdog',
  expr: 'vector(1)',
  labels: { severity: 'watchdog' },
  annotations: {
    summary: 'Alerting works. When this stops coming, nobody watches the promises.',
    runbook: 'docs/runbooks/watchdog.md',
  },
}

/** Alertmanager’s routes: pages at once, tickets in calm, and the Watchdog to the dead-man’s check. */
export const alertmanagerConfig = ({ webhook, deadman }: { webhook: string; deadman: string }) => ({
  route: {
    receiver: 'ticket',
    group_by: ['objective', 'severity'],
    group_wait: '30s',
    group_interval: '5m',
    repeat_interval: '12h',
    routes: [
      {
        matchers: ['alertname="Watchdog"'],
        receiver: 'deadman',
        group_wait: '0s',
        group_interval: '1m',
        repeat_interval: '1m',
      },
      { matchers: ['severity="page"'], receiver: 'page', group_wait: '0s', repeat_interval: '1h' },
    ],
  },
  inhibit_rules: [
    { source_matchers: ['severity="page"'], target_matchers: ['severity="ticket"'], equal: ['objective'] },
  ],
  receivers: [
    { name: 'page', webhook_configs: [{ url: webhook, send_resolved: true }] },
    { name: 'ticket', webhook_configs: [{ url: webhook, send_resolved: true }] },
    { name: 'deadman', webhook_configs: [{ url: deadman, send_resolved: false }] },
  ],
})
