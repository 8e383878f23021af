import type { View } from '../serve/view.ts'
import type { Minute } from '../sources/index.ts'
import type { Alert } from './notifier.ts'

const clock = (minute: Minute): string => `${new Date(minute * 60_000).toISOString().slice(11, 16)} UTC`

/** The alerts of one promise that fire now, each with what a person needs who was just woken. */
export function alertsOf(view: View): Alert[] {
  const firing = view.firings.filter(({ clears }) => clears === null)
  if (firing.length === 0) return []
  const text = describe(view, Math.min(...firing.map(({ fires }) => fires)))
  return firing.map(({ tier, fires }) => ({
    group: view.objective.name,
    name: tier.name,
    severity: tier.severity,
    since: fires * 60_000,
    text,
    diagnosis: null,
    runbook: view.objective.runbook,
  }))
}

function describe({ objective, standing: { budget, budgetLeft }, goneAt }: View, since: Minute): string {
  const unit = objective.method === 'Timeslices' ? 'minutes' : 'broken photos'
  const left = `${Math.floor(budgetLeft)} of ${Math.floor(budget)} ${unit} of the budget are left`
  const gone = budgetLeft <= 0 ? 'The budget is used up' : left
  const when = budgetLeft > 0 && goneAt !== null ? `, gone at ${clock(goneAt)} at this rate` : ''
  return `“${objective.displayName}” burns its budget since ${clock(since)}. ${gone}${when}.`
}
