import type { Calendar, Minute, Objective } from '../sources/index.ts'

type Windowed = Pick<Objective, 'windowMinutes' | 'calendar'>

/** The nominal days of a unit. */
const nominalDays: Record<Calendar['unit'], number> = { d: 1, w: 7, M: 30 }
/** How much longer a window may be when clocks are set back in it. */
const clockChangeMinutes = 120

export const nominalMinutes = ({ count, unit }: Pick<Calendar, 'count' | 'unit'>): number =>
  count * nominalDays[unit] * 1440

/** The most minutes that a window of the objective may reach back: a month has a day more than its nominal ones. */
export const longestWindowMinutes = ({ windowMinutes, calendar }: Windowed): number =>
  windowMinutes + (calendar ? clockChangeMinutes + (calendar.unit === 'M' ? calendar.count * 1440 : 0) : 0)

/** The minutes [from, to) to judge. `nominalMinutes`: the length of the complete window, even for a younger SLO. */
export type MinuteSpan = { from: Minute; to: Minute; nominalMinutes: number }

/** Cache: the last window of each calendar, whose bounds are slow to compute. */
const lastOf = new WeakMap<Calendar, MinuteSpan>()

/** The window that contains the minute before `to`, up to `to`: a calendar window may end later. */
export function windowAt({ windowMinutes, calendar }: Windowed, to: Minute): MinuteSpan {
  if (!calendar) return { from: to - windowMinutes, to, nominalMinutes: windowMinutes }
  const last = lastOf.get(calendar)
  if (last && last.from < to && to <= last.from + last.nominalMinutes) return { ...last, to }
  const starts = startsOf(calendar)
  const days = (to - 1 - starts(0)) / 1440
  let index = Math.floor(days / (calendar.count * nominalDays[calendar.unit]))
  while (starts(index) >= to) index--
  while (starts(index + 1) < to) index++
  const from = starts(index)
  const window = { from, to, nominalMinutes: starts(index + 1) - from }
  lastOf.set(calendar, window)
  return window
}

/** The first minute of each window, counted from the one that begins at the calendar's start. */
function startsOf({ count, unit, startTime, timeZone }: Calendar): (index: number) => Minute {
  const first = new Date(toUtc(startTime))
  const clock = clockOf(timeZone)
  return index => {
    const wall = new Date(first)
    if (unit === 'M') addMonths(wall, index * count)
    else wall.setUTCDate(wall.getUTCDate() + index * count * nominalDays[unit])
    return clock.minuteAt(Math.floor(wall.getTime() / 60_000))
  }
}

/** Adds months. In a month without a 31st the last day is taken. */
function addMonths(date: Date, months: number): void {
  const day = date.getUTCDate()
  date.setUTCMonth(date.getUTCMonth() + months)
  if (date.getUTCDate() !== day) date.setUTCDate(0)
}

/** The clock of a time zone, from Intl: Node 24 has no Temporal. Local times are given as minutes of UTC. */
function clockOf(timeZone: string): { minuteAt(wall: Minute): Minute } {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' })
  const offset = (minute: Minute): number => toUtc(format.format(minute * 60_000)) / 60_000 - minute
  return {
    // A local time that occurs twice means the first; a skipped one is shifted by the clock change.
    minuteAt(wall) {
      const [before, after] = [wall - offset(wall - 1440), wall - offset(wall + 1440)]
      return [before, after].find(minute => minute + offset(minute) === wall) ?? before
    },
  }
}

/** Parses `2026-01-31` or `2026-01-31 12:30:00` as UTC, to epoch ms. */
const toUtc = (text: string): number => Date.parse(`${text.replace(' ', 'T')}${text.length > 10 ? 'Z' : ''}`)

/** Whether a text is a date and time as OpenSLO writes it, `2026-01-31 00:00:00`, also with a T. */
export const isStartTime = (text: unknown): boolean =>
  typeof text === 'string' &&
  /^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?$/.test(text) &&
  !Number.isNaN(toUtc(text)) &&
  new Date(toUtc(text)).toISOString().startsWith(text.slice(0, 10))

export function isTimeZone(text: unknown): boolean {
  try {
    return typeof text === 'string' && clockOf(text) !== undefined
  } catch {
    return false
  }
}
