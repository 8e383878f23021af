import type { Calendar, Minute, Objective } from '../sources/index.ts'

type Windowed = Pick<Objective, 'windowMinutes' | 'calendar'>

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
  let index = Math.floor((to - 1 - starts(0)) / nominalMinutes(calendar))
  while (starts(index) >= to) index--
  while (starts(index + 1) < to) index++
  const from = starts(index)
  const window = { from, to, nominalMinutes: starts(index + 1) - from }
  lastOf.set(calendar, window)
  return window
}

/** The first minute of each window, counted from the one that begins at the calendar's start. */
function startsOf({ count, unit, startTime, timeZone }: Calendar): (index: number) => Minute {
  const first = Temporal.PlainDateTime.from(startTime)
  // In a month without a 31st the last day is taken. A local time that occurs twice means the first; a skipped one is
  // shifted by the clock change.
  return index => {
    const start = first.add({ [unitNames[unit]]: index * count }).toZonedDateTime(timeZone)
    return Math.floor(start.epochMilliseconds / 60_000)
  }
}

const unitNames = { d: 'days', w: 'weeks', M: 'months' } as const

/** Whether a text is a date and time as OpenSLO writes it, `2026-01-31 00:00:00`, also with a T. @throws RangeError */
export const isStartTime = (text: unknown): boolean =>
  /^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?$/.test(String(text)) &&
  Temporal.PlainDateTime.from(String(text)) !== undefined

/** @throws RangeError for what is no time zone. */
export const isTimeZone = (text: unknown): boolean =>
  Temporal.Now.zonedDateTimeISO(String(text)) !== undefined
