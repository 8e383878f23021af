import {
  type Calendar,
  type CalendarUnit,
  calendarUnits,
  type Minute,
  type Objective,
} from '../sources/index.ts'

type Windowed = Pick<Objective, 'windowMinutes' | 'calendar'>

/** The nominal days of a unit. */
const nominalDays: Record<CalendarUnit, number> = { d: 1, w: 7, M: 30 }
const longestDays: Record<CalendarUnit, number> = { d: 1, w: 7, M: 31 }
/** Clocks that are set back make a window longer. */
const clockChangeMinutes = 120

export const nominalMinutes = ({ count, unit }: Pick<Calendar, 'count' | 'unit'>): number =>
  count * nominalDays[unit] * 1440

/** The most minutes that a window of the objective may reach back. */
export const longestWindowMinutes = ({ windowMinutes, calendar }: Windowed): number =>
  calendar ? calendar.count * longestDays[calendar.unit] * 1440 + clockChangeMinutes : windowMinutes

/**
 * The window in which the minute before `at` falls: where it begins, and how long it is as a whole. A rolling one ends
 * at `at`; a calendar window may end later.
 */
export function windowAt(
  { windowMinutes, calendar }: Windowed,
  at: Minute,
): { from: Minute; minutes: number } {
  if (!calendar) return { from: at - windowMinutes, minutes: windowMinutes }
  const starts = startsOf(calendar)
  const days = (at - 1 - starts(0)) / 1440
  let index = Math.floor(days / (calendar.count * nominalDays[calendar.unit]))
  while (starts(index) >= at) index--
  while (starts(index + 1) < at) index++
  const from = starts(index)
  return { from, minutes: starts(index + 1) - from }
}

/** The first minute of each window, counted from the one that begins at the calendar's start. */
function startsOf({ count, unit, startTime, timeZone }: Calendar): (index: number) => Minute {
  const first = Temporal.PlainDateTime.from(startTime.replace(' ', 'T'))
  return index =>
    Math.floor(
      first.add({ [calendarUnits[unit]]: index * count }).toZonedDateTime(timeZone).epochMilliseconds /
        60_000,
    )
}

/** Whether the text is a time of day on a date, as OpenSLO writes it: `2026-01-31 00:00:00`. */
export const isStartTime = (text: unknown): boolean =>
  typeof text === 'string' &&
  /^\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?$/.test(text) &&
  !throws(() => startsOf({ count: 1, unit: 'd', startTime: text, timeZone: 'UTC' })(0))

export const isTimeZone = (text: unknown): boolean =>
  typeof text === 'string' && !throws(() => Intl.DateTimeFormat('en', { timeZone: text }))

function throws(act: () => unknown): boolean {
  try {
    act()
    return false
  } catch {
    return true
  }
}
