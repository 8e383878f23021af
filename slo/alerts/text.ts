import type { Episode, Standing } from '../live/standing.ts'
import type { Minute, Objective } from '../source/index.ts'
import type { Alert } from './notifier.ts'

/** The time of a minute as every page and message writes it. */
export const clock = (minute: Minute): string =>
  `${new Date(minute * 60_000).toISOString().slice(11, 16)} UTC`

/** What a person needs who was just woken: which promise, what is left, until when. */
export function describeAlert(objective: Objective, standing: Standing, firing: readonly Episode[]): string {
  const since = Math.min(...firing.map(({ fires }) => fires))
  const { goneAt, budgetLeft } = standing
  const left = Math.max(0, Math.floor(budgetLeft))
  const of = Math.floor(standing.budget)
  const unit = objective.method === 'Timeslices' ? 'minutes' : 'late photos'
  const gone = budgetLeft <= 0 ? 'The budget is used up' : `${left} of ${of} ${unit} of the budget are left`
  const when = budgetLeft > 0 && goneAt !== null ? `, gone at ${clock(goneAt)} at this rate` : ''
  return `“${objective.displayName}” is being broken since ${clock(since)}. ${gone}${when}.`
}

/** The alerts of one objective that fire now, as a person is told of them. */
export function alertsOf(objective: Objective, standing: Standing, episodes: readonly Episode[]): Alert[] {
  const firing = episodes.filter(({ clears }) => clears === null)
  const text = firing.length > 0 ? describeAlert(objective, standing, firing) : ''
  return firing.map(({ tier, severity, fires }) => ({
    group: objective.name,
    name: tier,
    severity,
    since: fires * 60_000,
    text,
    runbook: objective.runbook,
  }))
}
