import { complement, toNumber } from '../fraction.ts'
import type { Planned } from '../planned.ts'
import { judge } from '../sli.ts'
import type { Minute } from '../source/index.ts'
import type { View, Watch } from './watch.ts'

/** What the pages draw. Times are ISO 8601 in UTC; strips have one character or number a minute, oldest first. */
export type State = {
  at: string
  /** When measurements last could be read. */
  seenAt: string
  objectives: ObjectiveState[]
  planned: { id: string; from: string; to: string; reason: string }[]
}

export type ObjectiveState = {
  name: string
  displayName: string
  description: string
  unit: 'minutes' | 'photos'
  target: number
  windowMinutes: number
  /** The window, capped at the start of the promise. */
  from: string
  to: string
  good: number
  bad: number
  unknown: number
  budget: number
  budgetLeft: number
  goneAt: string | null
  tiers: (View['standing']['tiers'][number] & { since: string | null })[]
  alerts: {
    tier: string
    severity: 'page' | 'ticket'
    fires: string
    clears: string | null
    budgetUsedAtFire: number
  }[]
  runbook: string
  strip: {
    from: string
    /** Minutes: o online, x offline, u no data, p planned and offline, '.' before the promise. Photos: bad ones a minute. */
    states: string
    good: number[]
    bad: number[]
  }
}

/** The day strip is of one day, whatever the objective's window is. */
const stripMinutes = 1440

export function stateOf(watch: Watch, planned: readonly Planned[]): State {
  return {
    at: new Date().toISOString(),
    seenAt: new Date(watch.seenAt()).toISOString(),
    objectives: watch.views().map(view => objectiveState(view, planned)),
    planned: planned.map(({ id, from, to, reason }) => ({ id, from: time(from), to: time(to), reason })),
  }
}

const time = (minute: Minute): string => new Date(minute * 60_000).toISOString()

function objectiveState(view: View, planned: readonly Planned[]): ObjectiveState {
  const { objective } = view.history
  const { standing, episodes } = view
  const firing = new Map(
    episodes.filter(({ clears }) => clears === null).map(({ tier, fires }) => [tier, fires]),
  )
  return {
    name: objective.name,
    displayName: objective.displayName,
    description: objective.description,
    unit: objective.method === 'Timeslices' ? 'minutes' : 'photos',
    target: 1 - toNumber(complement(objective.target)),
    windowMinutes: objective.windowMinutes,
    from: time(standing.from),
    to: time(standing.at),
    good: standing.good,
    bad: standing.bad,
    unknown: standing.unknownMinutes,
    budget: standing.budget,
    budgetLeft: standing.budgetLeft,
    goneAt: standing.goneAt === null ? null : time(standing.goneAt),
    tiers: standing.tiers.map(tier => {
      const since = firing.get(tier.name)
      return { ...tier, since: since === undefined ? null : time(since) }
    }),
    alerts: episodes.map(({ fires, clears, ...rest }) => ({
      ...rest,
      fires: time(fires),
      clears: clears === null ? null : time(clears),
    })),
    runbook: objective.runbook,
    strip: strip(view, planned),
  }
}

function strip({ history, standing }: View, planned: readonly Planned[]): ObjectiveState['strip'] {
  const { slots, from, start } = history.current()
  const { method } = history.objective
  const first = standing.at - stripMinutes
  const minutes = Array.from({ length: stripMinutes }, (_, i) => slots[first + i - from])
  const isPlanned = (minute: Minute) => planned.some(each => minute >= each.from && minute < each.to)
  const letter = (minute: Minute): string => {
    const slot = slots[minute - from]
    if (!slot || start === null || minute < start) return '.'
    const { good, unknown } = judge(method, slot)
    if (method === 'Timeslices' && good === 1) return 'o'
    if (isPlanned(minute)) return 'p'
    return unknown ? 'u' : slot.good === slot.total ? 'o' : 'x'
  }
  return {
    from: time(first),
    states: minutes.map((_, i) => letter(first + i)).join(''),
    good: minutes.map(slot => slot?.good ?? 0),
    bad: minutes.map(slot => (slot ? slot.total - slot.good : 0)),
  }
}
