import type { Minute } from '../sources/index.ts'

/** An alert as Prometheus keeps it: `falseSince` is when its condition ended while it is kept firing. */
export type AlertState = { since: Minute; falseSince: Minute | null } | 'inactive'

/**
 * One evaluation. A firing alert ends when its condition was false for `keepFiringMinutes`, the tier's short window.
 * Without that, an outage of 2 minutes up, 2 minutes down fires 28 times in two hours.
 */
export function step(
  state: AlertState,
  condition: boolean,
  at: Minute,
  keepFiringMinutes: number,
): AlertState {
  if (condition) return { since: state === 'inactive' ? at : state.since, falseSince: null }
  if (state === 'inactive') return state
  const falseSince = state.falseSince ?? at
  return at - falseSince < keepFiringMinutes ? { ...state, falseSince } : 'inactive'
}
