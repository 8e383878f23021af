export const dayMs = 86_400_000

/** Tintype is not older. A machine whose clock has no battery says 1970 until it has asked the network. */
export const oldestMs = Date.parse('2026-01-01')

/** An age in milliseconds; Infinity for 0 days. */
export const daysMs = (count: number): number => (count === 0 ? Infinity : count * dayMs)

/** The UTC day of a time: `2026-11-22`. */
export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

/** Whether `text` is a calendar day like `2026-11-22`; false for `2026-02-31`. */
export const isDay = (text: string): boolean => new Date(text).toJSON()?.slice(0, 10) === text

/** Whether a day ended at least this long before `nowMs`. */
export const isOver = (day: string, forMs: number, nowMs: number): boolean =>
  Date.parse(day) + dayMs + forMs <= nowMs

const timeFormat = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/

/** Epoch ms of a UTC day or an ISO 8601 time with its zone; else NaN. In an address’s query a plus sign is a space. */
export function timeIn(given: unknown): number {
  const text = String(given).replace(' ', '+')
  return timeFormat.test(text) && isDay(text.slice(0, 10)) ? Date.parse(text) : NaN
}
