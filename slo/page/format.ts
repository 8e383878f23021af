import { language } from '@tintype/lib/page/browser/language.ts'

const number = (options: Intl.NumberFormatOptions) => new Intl.NumberFormat(language, options).format
const whole = number({ maximumFractionDigits: 0 })
const hundredths = number({ style: 'percent', maximumFractionDigits: 2 })

export const count = (value: number): string => whole(Math.floor(value))
export const percent = (value: number): string => hundredths(Math.floor(value * 10_000) / 10_000)
export const wholePercent = number({ style: 'percent' })
const digits = number({ maximumSignificantDigits: 3 })
const shortDigits = number({ maximumSignificantDigits: 3, notation: 'compact' })
export const significant = (value: number): string => (value < 1e5 ? digits : shortDigits)(value)
export const tenths = number({ maximumFractionDigits: 1 })

const hourMinute = new Intl.DateTimeFormat(language, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
  timeZone: 'UTC',
})
export const clock = (time: string | number): string => hourMinute.format(new Date(time))

/** The parts of a text that are there. */
export const joined = (separator: string, ...parts: (string | false | null | undefined | 0)[]): string =>
  parts.filter(Boolean).join(separator)

/** `2026-11-26 04:12`. */
export const shortTime = (time: string): string => time.slice(0, 16).replace('T', ' ')

/** `04:12`, with its date when it is a day or more from `near`. */
export const moment = (time: string, near: string): string =>
  Math.abs(Date.parse(time) - Date.parse(near)) < 86_400_000 ? clock(time) : shortTime(time)
