import { readFileSync } from 'node:fs'
import { limits } from '@tintype/lib/limits.ts'
import { parse } from 'yaml'
import { complement, type Fraction } from '../math/fraction.ts'
import { round } from '../math/standing.ts'
import { toDuration } from '../math/time.ts'
import type { Objective, Tier } from '../sources/index.ts'
import { type Scope, unscoped } from '../sources/promql.ts'
import { identity, type RecordingRule, recorded, recordings, series, window } from './recordings.ts'

/** Prometheus’ rule file, as the parts of it that are generated. */
type Rule = RecordingRule | AlertRule
export type AlertRule = {
  alert: string
  expr: string
  keep_firing_for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}
type Group = { name: string; interval: string; limit?: number; rules: Rule[] }
export type RuleFile = { groups: Group[] }

/** Where `npm start` has the pages of slo: the links in alerts begin with it unless another address is given. */
export const defaultPages = 'http://localhost:8084/'

export const alertName = ({ name }: Pick<Objective, 'name'>): string =>
  `${name.replace(/(^|-)(.)/g, (_, _hyphen, letter: string) => letter.toUpperCase())}BudgetBurn`

/**
 * The objectives as Prometheus rules (2.42 or later: `keep_firing_for`), which fire and clear in the minutes of
 * `backtest`.
 */
export const rules = (
  objectives: readonly Objective[],
  scope: Scope = unscoped,
  pages = defaultPages,
): RuleFile => ({
  groups: [
    ...objectives.map(objective => ({
      name: groupName(objective, objectives),
      interval: '1m',
      ...(objective.groupBy ? { limit: limits.objectiveGroups.value } : {}),
      rules: [
        ...recordings(objective, scope),
        ...objective.tiers.map(tier => alert(objective, tier, scope, pages)),
      ],
    })),
    { name: watchdogGroup(objectives), interval: '1m', rules: [watchdog(scope, pages)] },
  ],
})

const watchdogGroup = (objectives: readonly Objective[]): string => `${objectives[0]?.service}-watchdog`

/** Prometheus refuses a file with two groups of one name: that of a-b and c is also that of a and b-c. */
function groupName({ name, service }: Objective, all: readonly Objective[]): string {
  const hyphened = [...all.map(each => `${each.service}-${each.name}`), watchdogGroup(all)]
  const isTwice = hyphened.filter(each => each === `${service}-${name}`).length > 1
  return `${service}${isTwice ? '/' : '-'}${name}`
}

function alert(objective: Objective, tier: Tier, scope: Scope, pages: string): AlertRule {
  return {
    alert: alertName(objective),
    expr: [tier.longMinutes, tier.shortMinutes]
      .map(minutes => condition(objective, tier, minutes, scope))
      .join('\nand\n'),
    keep_firing_for: toDuration(tier.shortMinutes),
    labels: asTexts({ ...identity(objective, scope), tier: tier.name, severity: tier.severity }),
    annotations: annotations(objective, tier, scope, pages),
  }
}

/** One window of a tier, compared in integers; nothing bad in it is no burn, and too little in the long one neither. */
function condition(objective: Objective, tier: Tier, minutes: number, scope: Scope): string {
  const [good, bad] = [recorded.good, recorded.bad].map(each =>
    window(series(each, objective, scope), minutes),
  )
  const least = minutes === tier.longMinutes ? tier.minimumBad : 1
  const { numerator, denominator }: Fraction = tier.threshold
  const whole = tier.of === 'nominal' ? minutes : `(${good} + ${bad})`
  return `(${bad} >= ${least}) * ${denominator} >= ${numerator} * ${whole}`
}

function annotations(objective: Objective, tier: Tier, scope: Scope, pages: string): Record<string, string> {
  const { displayName, runbook, groupBy } = objective
  const group = groupBy ? ` of {{ $labels.${groupBy} }}` : ''
  return {
    summary: `${asText(displayName)}${group}: the budget burns (${tier.name})`,
    description: `${objective.calendar ? burns(objective, tier, scope) : left(objective, tier, scope)}. The cause: see the dashboard, which shows the diagnosis of that time.`,
    runbook_url: asText(runbookUrl(runbook, pages)),
    dashboard_url: `${new URL('?at=', pages).href}${ask(began(objective, tier, scope), '{{ . | first | value | printf "%.0f" }}')}`,
  }
}

/** A runbook that is a path is served by the pages. Annotations are free text: what is no address stays as it is. */
export const runbookUrl = (runbook: string, pages: string): string =>
  URL.parse(runbook, pages)?.href ?? runbook

/** Epoch seconds at which an alert began, so that its link does not change with each evaluation; at first, now. */
function began(objective: Objective, { name }: Tier, scope: Scope): string {
  const state = of('ALERTS_FOR_STATE', objective, scope)
  return `max(${state.replace('{', `{alertname="${alertName(objective)}",tier="${name}",`)}) or vector(time())`
}

/** For a calendar window, whose remaining budget is not recorded. */
const burns = (objective: Objective, { longMinutes, threshold }: Tier, scope: Scope): string =>
  `${ask(window(of(recorded.bad, objective, scope), longMinutes), '{{ . | first | value | printf "%.0f" }}')} bad ${asText(objective.unit)} in the last ` +
  `${toDuration(longMinutes)}; ${round((100 * threshold.numerator) / threshold.denominator, 2)} % are too many`

function left(objective: Objective, { longMinutes }: Tier, scope: Scope): string {
  const { method, windowMinutes, target } = objective
  const left = of(recorded.budgetLeft, objective, scope)
  const rate = `(${window(of(recorded.bad, objective, scope), longMinutes)} / ${longMinutes * 60})`
  const what = method === 'Timeslices' ? 'minutes' : `more bad ${asText(objective.unit)}`
  const { numerator, denominator } = complement(target)
  const whole = method === 'Timeslices' ? ` of ${(windowMinutes * numerator) / denominator}` : ''
  return (
    `${ask(left, '{{ . | first | value | printf "%.0f" }}')}${whole} ${what} of budget are left in this ${toDuration(windowMinutes)}; ` +
    `at the rate of the last ${toDuration(longMinutes)} they are gone in ` +
    ask(`clamp_min(${left}, 0) / ${rate}`, '{{ . | first | value | humanizeDuration }}')
  )
}

/** A recorded series of the group that the alert is about. */
function of(metric: string, objective: Objective, scope: Scope): string {
  const selector = series(metric, objective, scope)
  const { groupBy } = objective
  return groupBy ? selector.replace(/}$/, `,${groupBy}=$group}`) : selector
}

/** Braces of a text are no template’s: Prometheus expands annotations and labels of alerts. */
const asText = (text: string): string => text.replaceAll('{{', '{{ "{{" }}')
const asTexts = (labels: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).map(([name, text]) => [name, asText(text)]))

/** A query of a template; the value of the alert's own group stands for $group. */
function ask(promql: string, show: string): string {
  const [, label] = /,(\w+)=\$group}/.exec(promql) ?? []
  const query = label
    ? `(printf ${JSON.stringify(promql.replaceAll('%', '%%').replaceAll('$group', '%[1]q'))} $labels.${label})`
    : JSON.stringify(promql)
  return `{{ with query ${query} }}${show}{{ else }}?{{ end }}`
}

/** Not `Watchdog`: kube-prometheus has an alert of that name, with routes and inhibitions for it. */
export const watchdogName = 'SloWatchdog'

/** Fires always. A dead-man's switch that stops receiving it reports that alerts of this Prometheus do not arrive. */
const watchdog = ({ selectors }: Scope, pages: string): AlertRule => ({
  alert: watchdogName,
  expr: 'vector(1)',
  labels: asTexts({ severity: 'watchdog', ...selectors }),
  annotations: {
    summary: 'Alerting works: this fires always. When it stops arriving, no alert of Prometheus arrives.',
    runbook_url: runbookUrl('docs/runbooks/slo-watchdog.md', pages),
  },
})

/**
 * Alertmanager’s configuration. A message and an inhibition are about one objective, group and namespace. A path is a
 * file with an address.
 */
export function alertmanagerConfig(
  { webhook, deadman }: { webhook: string; deadman: string },
  objectives: readonly Objective[] = [],
  { selectors }: Scope = unscoped,
): object {
  const config = parse(readFileSync(new URL('alertmanager.yaml', import.meta.url), 'utf8'))
  const labels = [...Object.keys(selectors), ...objectives.flatMap(({ groupBy }) => groupBy ?? [])]
  const [inhibit] = config.inhibit_rules
  inhibit.equal = [...new Set([...inhibit.equal, ...labels])]
  config.route.group_by = [...new Set([...config.route.group_by, ...labels])]
  for (const receiver of config.receivers) {
    const url = receiver.name === 'deadman' ? deadman : webhook
    const target = url.startsWith('/') ? { url_file: url } : { url }
    receiver.webhook_configs = receiver.webhook_configs.map((each: object) => ({ ...target, ...each }))
  }
  return config
}
