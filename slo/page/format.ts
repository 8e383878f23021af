import { language } from '@tintype/lib/page/browser/language.ts'

const number = (options: Intl.NumberFormatOptions) => new Intl.NumberFormat(language, options).format
/** Rounded down, with a digit more than its target has nines: what is below the target must not look like it. */
export function percent(value: number, target = 0): string {
  const digits = Math.min(8, Math.max(2, Math.ceil(-Math.log10(1 - target) - 1e-9) - 1))
  const scale = 10 ** (digits + 2)
  // 0.57 × 10,000 is 5,699.999…
  const down = Math.floor(value * scale + 1e-6) / scale
  return number({ style: 'percent', maximumFractionDigits: digits })(down)
}

export const wholePercent = number({ style: 'percent' })
const digits = number({ maximumSignificantDigits: 3 })
const shortDigits = number({ maximumSignificantDigits: 3, notation: 'compact' })
export const significant = (value: number): string => (value < 1e5 ? digits : shortDigits)(value)

/** `04:12`, in UTC. */
export const clock = (time: string | number): string => new Date(time).toISOString().slice(11, 16)

/** The parts of a text that are there. */
export const joined = (separator: string, ...parts: (string | false | null | undefined | 0)[]): string =>
  parts.filter(Boolean).join(separator)

/** `2026-11-26 04:12`. */
export const shortTime = (time: string): string => time.slice(0, 16).replace('T', ' ')

/** `04:12`, with its date when it is a day or more from `near`. */
export const moment = (time: string, near: string): string =>
  Math.abs(Date.parse(time) - Date.parse(near)) < 86_400_000 ? clock(time) : shortTime(time)
