import type { Minute, Objective, Slot } from '../sources/index.ts'
import { longestMinutes } from '../sources/recorded.ts'
import { backtest, type Timeline } from './backtest.ts'
import { type Tally, tally } from './sli.ts'
import { parseDuration, toDuration } from './time.ts'

/** A part of an outage: the percentage of offline minutes and of bad events. `events`: whether there is traffic. */
type Phase = { minutes: number; offlinePercent: number; badPercent: number; events: boolean }

const maxPhases = 1_000
const maxMinutes = 20_160

export const outageFormat = `a list like "full 10m" or "50% 1h, ok 5m, late 20% 30m" or "30x(full 2m, ok 2m)":
  full D        nothing answers: every minute offline, and no events
  N% D          N % of the minutes offline and N % of the events bad
  offline N% D  N % of the minutes offline, every event good
  late N% D     N % of the events bad, every minute online
  ok D          all well
  at most ${maxPhases} parts, and ${toDuration(maxMinutes)} together`

/** The assumed traffic: with 100 events a minute a whole percentage is a whole number of events. */
const eventsAMinute = 100

/** Parses the description of an outage; undefined when it has another format. */
export function parseOutage(text: string): Phase[] | undefined {
  let steps = 0
  const repeated = text.replace(/(\d{1,3})x\(([^()]*)\)/g, (_, times: string, inside: string) => {
    steps += Number(times) * inside.split(',').length
    return steps > maxPhases ? '' : Array(Number(times)).fill(inside).join(',')
  })
  const phases = repeated.split(',').map(parsePhase)
  const known = phases.filter(phase => phase !== undefined)
  const isShort = known.length <= maxPhases && outageMinutes(known) <= maxMinutes
  return known.length === phases.length && isShort ? known : undefined
}

function parsePhase(text: string): Phase | undefined {
  const [, kind, percentText, length] =
    /^\s*(full|ok|(?:late |offline )?(\d{1,3})%)\s+(\w+)\s*$/.exec(text) ?? []
  const minutes = parseDuration(length)
  const percent = Number(percentText ?? (kind === 'full' ? 100 : 0))
  if (!kind || minutes === undefined || percent > 100) return undefined
  return {
    minutes,
    offlinePercent: kind.startsWith('late') ? 0 : percent,
    badPercent: kind.startsWith('offline') || kind === 'full' ? 0 : percent,
    events: kind !== 'full',
  }
}

export const outageMinutes = (phases: readonly Phase[]): number =>
  phases.reduce((sum, { minutes }) => sum + minutes, 0)

/** The tally of an outage that begins at a minute, after a good window and before one in which every alert clears. */
export function outageTally(objective: Objective, phases: readonly Phase[], begin: Minute): Tally {
  const well = (minutes: number): Phase => ({ minutes, offlinePercent: 0, badPercent: 0, events: true })
  const from = begin - objective.windowMinutes
  const all = [well(objective.windowMinutes), ...phases, well(2 * longestMinutes([objective]))]
  let start = from
  const slots = all.flatMap(phase =>
    Array.from({ length: phase.minutes }, (_, i) => slot(objective, phase, start++, i)),
  )
  return tally(objective, from, slots)
}

function slot({ method }: Objective, phase: Phase, start: Minute, i: number): Slot {
  const { offlinePercent, badPercent, events } = phase
  if (method === 'Timeslices') return { start, good: 1 - spread(offlinePercent, i), total: 1, unknown: false }
  const total = events ? eventsAMinute : 0
  return { start, good: total - (total * badPercent) / 100, total, unknown: !events }
}

/** 1 for this percentage of the minutes, spread evenly, else 0. */
const spread = (percent: number, i: number): number =>
  Math.floor(((i + 1) * percent) / 100) - Math.floor((i * percent) / 100)

/** The firings of an objective's alerts in an outage that begins at a minute. */
export function replayOutage(objective: Objective, phases: readonly Phase[], begin: Minute): Timeline[] {
  const tally = outageTally(objective, phases, begin)
  return backtest(objective, tally, begin, tally.to)
}
