import { language } from '@tintype/lib/page/browser/language.ts'

const number = new Intl.NumberFormat(language, { maximumFractionDigits: 0 })
const percentage = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 2 })
const hourMinute = new Intl.DateTimeFormat(language, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
  timeZone: 'UTC',
})

export const count = (value: number): string => number.format(Math.floor(value))
export const percent = (value: number): string => percentage.format(Math.floor(value * 10_000) / 10_000)
export const clock = (time: string | number): string => hourMinute.format(new Date(time))

const wholePercentage = new Intl.NumberFormat(language, { style: 'percent' })
const significantDigits = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 })
export const significant = (value: number): string => significantDigits.format(value)
export const wholePercent = (value: number): string => wholePercentage.format(value)

/** The length of a window in whole days above one day, else in hours. */
export const span = (minutes: number): [many: number, unit: 'day' | 'hour'] =>
  minutes > 1440 && minutes % 1440 === 0 ? [minutes / 1440, 'day'] : [minutes / 60, 'hour']
