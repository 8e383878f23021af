import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { allowedBad, type Fraction } from '../math/fraction.ts'
import { round } from '../math/standing.ts'
import { toDuration } from '../math/time.ts'
import type { Objective, Tier } from '../sources/index.ts'
import { type Scope, unscoped } from '../sources/promql.ts'
import { identity, recorded, recordings, series, window } from './recordings.ts'

/** A Prometheus rule file, with the parts that slo generates. */
export type RuleFile = ReturnType<typeof rules>

/** Address of slo's pages under `npm start`. Links in alerts begin with it unless another address is given. */
export const defaultPages = 'http://localhost:8084/'

export const alertName = ({ name }: Pick<Objective, 'name'>): string =>
  `${name.replace(/(^|-)(.)/g, (_, _hyphen, letter: string) => letter.toUpperCase())}BudgetBurn`

/**
 * The objectives as Prometheus rules (2.42 or later: `keep_firing_for`). They fire and clear in the same minutes as
 * `backtest`.
 */
export function rules(objectives: readonly Objective[], scope: Scope = unscoped, pages = defaultPages) {
  const groups = objectives.map(objective => {
    const alerts = objective.tiers.map(tier => alert(objective, tier, scope, pages))
    const rules = [...recordings(objective, scope), ...alerts]
    return { name: groupName(objective, objectives), interval: '1m', rules }
  })
  const last = { name: watchdogGroup(objectives), interval: '1m', rules: [watchdog(scope, pages)] }
  return { groups: [...groups, last] }
}

const watchdogGroup = (objectives: readonly Objective[]): string => `${objectives[0]?.service}-watchdog`

/** Prometheus refuses two groups with the same name: service a-b with objective c, and service a with objective b-c. */
function groupName({ name, service }: Objective, all: readonly Objective[]): string {
  const hyphened = [...all.map(each => `${each.service}-${each.name}`), watchdogGroup(all)]
  const isTwice = hyphened.filter(each => each === `${service}-${name}`).length > 1
  return `${service}${isTwice ? '/' : '-'}${name}`
}

function alert(objective: Objective, tier: Tier, scope: Scope, pages: string) {
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

/** The condition of one window of a tier, as in `fires`. It is false without enough bad events. */
function condition(objective: Objective, tier: Tier, minutes: number, scope: Scope): string {
  const [good, bad] = [recorded.good, recorded.bad].map(each =>
    window(series(each, objective, scope), minutes),
  )
  const enough = minutes === tier.longMinutes ? `>= ${tier.minimumBad}` : '> 0'
  const { numerator, denominator }: Fraction = tier.threshold
  const whole = objective.method === 'Timeslices' ? minutes : `(${good} + ${bad})`
  return `(${bad} ${enough}) * ${denominator} >= ${numerator} * ${whole}`
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

/** A runbook's address. slo's pages serve paths; an annotation that is no address, as free text may be, is kept. */
export const runbookUrl = (runbook: string, pages: string) => URL.parse(runbook, pages)?.href ?? runbook

/** Epoch seconds at which an alert began, so that its link is the same at each evaluation; now at the first one. */
function began(objective: Objective, { name }: Tier, scope: Scope): string {
  const state = of('ALERTS_FOR_STATE', objective, scope)
  return `max(${state.replace('{', `{alertname="${alertName(objective)}",tier="${name}",`)}) or vector(time())`
}

/** The description for a calendar window, whose remaining budget is not recorded. */
const burns = (objective: Objective, { longMinutes, threshold }: Tier, scope: Scope): string =>
  `${ask(window(of(recorded.bad, objective, scope), longMinutes), '{{ . | first | value | printf "%.0f" }}')} bad ${asText(objective.unit)} in the last ` +
  `${toDuration(longMinutes)}; ${round((100 * threshold.numerator) / threshold.denominator, 2)} % are too many`

function left(objective: Objective, { longMinutes }: Tier, scope: Scope): string {
  const { method, windowMinutes, target } = objective
  const left = of(recorded.budgetLeft, objective, scope)
  const rate = `(${window(of(recorded.bad, objective, scope), longMinutes)} / ${longMinutes * 60})`
  const what = method === 'Timeslices' ? 'minutes' : `more bad ${asText(objective.unit)}`
  const whole = method === 'Timeslices' ? ` of ${allowedBad(target, windowMinutes)}` : ''
  return (
    `${ask(`clamp_min(floor(${left}), 0)`, '{{ . | first | value | printf "%.0f" }}')}${whole} ${what} of budget left in this ${toDuration(windowMinutes)}; ` +
    `at the rate of the last ${toDuration(longMinutes)} they are gone in ` +
    ask(`clamp_min(${left}, 0) / ${rate}`, '{{ . | first | value | humanizeDuration }}')
  )
}

/** The recorded series of the alert's group. */
function of(metric: string, objective: Objective, scope: Scope): string {
  const selector = series(metric, objective, scope)
  const { groupBy } = objective
  return groupBy ? selector.replace(/}$/, `,${groupBy}=$group}`) : selector
}

/** Escapes braces, because Prometheus expands templates in annotations and labels of alerts. */
const asText = (text: string): string => text.replaceAll('{{', '{{ "{{" }}')
const asTexts = (labels: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).map(([name, text]) => [name, asText(text)]))

/** A query in a template. `$group` stands for the value of the alert's group. */
function ask(promql: string, show: string): string {
  const [, label] = /,(\w+)=\$group}/.exec(promql) ?? []
  const query = label
    ? `(printf ${JSON.stringify(promql.replaceAll('%', '%%').replaceAll('$group', '%[1]q'))} $labels.${label})`
    : JSON.stringify(promql)
  return `{{ with query ${query} }}${show}{{ else }}?{{ end }}`
}

/** Not `Watchdog`, a name for which kube-prometheus has an alert with routes and inhibitions. */
export const watchdogName = 'SloWatchdog'

/** Always fires. A dead-man's switch that no longer receives it reports that Prometheus' alerts do not arrive. */
const watchdog = ({ selectors }: Scope, pages: string) => ({
  alert: watchdogName,
  expr: 'vector(1)',
  labels: asTexts({ severity: 'watchdog', ...selectors }),
  annotations: {
    summary: 'Alerting works: this always fires. When it stops arriving, alerts of Prometheus do not arrive.',
    runbook_url: runbookUrl('docs/runbooks/slo-watchdog.md', pages),
  },
})

/**
 * Alertmanager’s configuration. A message and an inhibition concern one objective, group and namespace. `webhook` and
 * `deadman` are an address, or the path of a file with one.
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
