import type { Standing } from '../math/standing.ts'
import { toDuration, toShort } from '../math/time.ts'
import type { View } from '../serve/view.ts'
import type { Minute, Objective } from '../sources/index.ts'
import type { Alert } from './alert-store.ts'
import { alertName } from './rules.ts'

/** The time of day, with the date when it is a day or more from `near`. */
export const clock = (minute: Minute, near: Minute): string =>
  `${toShort(minute).slice(Math.abs(minute - near) < 1440 ? 6 : 0)} UTC`

const lossesOf = ({ method, unit }: Objective): string => (method === 'Timeslices' ? unit : `bad ${unit}`)

/** Discord refuses a message of more than 2,000 characters, with its links; PagerDuty a summary of more than 1,024. */
export const cut = (text: string, most = 500): string =>
  text.length > most ? `${text.slice(0, most - 1)}…`.toWellFormed() : text

/** The remaining and the used budget of an objective, in one line. */
export function budgetLine({ objective, budget, budgetLeft, good, bad }: Standing): string {
  const [all, used] = [Math.floor(budget), Math.ceil(bad)]
  // With few events the allowed share is less than one bad event.
  if (all === 0 && used === 0) return `${objective.displayName}: ${good} ${objective.unit} counted, none bad`
  const beyond = budgetLeft < 0 ? `: ${Math.ceil(-budgetLeft)} beyond the budget` : ''
  return `${objective.displayName}: ${Math.max(0, Math.floor(budgetLeft))} of ${all} ${lossesOf(objective)} left, ${used} used${beyond}`
}

export function alertsOf(view: View): Alert[] {
  const firing = view.firings.filter(({ clears }) => clears === null)
  if (firing.length === 0) return []
  const since = Math.min(...firing.map(({ fires }) => fires))
  const text = describe(view, since, Math.min(...firing.map(({ tier }) => tier.longMinutes)))
  const { id, name: objective, service, groupBy, group, runbook } = view.objective
  const same = { group: id, text, diagnosis: null, runbook }
  return firing.map(({ tier: { name, severity }, fires }) => {
    const ofGroup = group !== null && { [String(groupBy)]: group }
    const labels = { alertname: alertName(view.objective), service, objective, tier: name, ...ofGroup }
    return { ...same, name, severity, labels, since: fires * 60_000 }
  })
}

/** `rateMinutes`: the time whose rate says when the budget is gone, as in the alert of the rules. */
function describe(view: View, since: Minute, rateMinutes: number): string {
  const { objective, standing, at } = view
  const { budget, budgetLeft } = standing
  const [unit, all, goneAt] = [lossesOf(objective), Math.floor(budget), view.goneAtRateOf(rateMinutes)]
  const when = goneAt && `, gone at ${clock(goneAt, at)} at the rate of the last ${toDuration(rateMinutes)}`
  const left =
    budgetLeft > 0
      ? `${Math.floor(budgetLeft)} of ${all} ${unit} of the budget left${when ?? ''}`
      : `The budget of ${all} ${unit} is used up${budgetLeft < 0 ? `, and ${Math.ceil(-budgetLeft)} beyond it` : ''}`
  return `“${objective.displayName}” has been burning its budget since ${clock(since, at)}. ${left}.`
}
