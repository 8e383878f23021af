import { cookie, setCookie } from './cookies.ts'

type Language = 'en' | 'ko'

/** A language and its region as browsers write them, and as systems do: `ko-KR`, `ko_KR.UTF-8`, `en-US@posix`. */
const partsOf = (name: string) => /^(en|ko)(?![a-z])(?:[-_]([a-z]{2}|\d{3})\b)?/i.exec(name) ?? []

const firstKnown = (names: readonly string[]): Language | undefined =>
  names.map(name => partsOf(name)[1]?.toLowerCase()).find(Boolean) as Language | undefined

const asked = firstKnown([new URLSearchParams(location.search).get('lang') ?? ''])
const chosen = asked ?? firstKnown([cookie('language') ?? ''])
// At each visit: Safari keeps a script's cookie for a week.
if (chosen) setCookie('language', chosen)

/** Browsers inside of apps may have only the first of them. */
const spoken = navigator.languages ?? [navigator.language]
/** `?lang=`, else the language chosen before, else the browser's first language that the page has, else English. */
export const language: Language = chosen ?? firstKnown(spoken) ?? 'en'

/** The address of a page in the chosen language. */
export function inLanguage(address: string, carried: string | undefined = chosen): string {
  const url = new URL(address, location.href)
  if (carried) url.searchParams.set('lang', carried)
  return url.href
}

/** A page's texts by their names: words.json. */
type Texts<Name extends string = string> = Readonly<Record<Name, Record<Language, string>>>
type Values = Readonly<Record<string, string | number | Date>>

/** Makes the function that gives a page's texts in its language, with values: `say('ready', { seconds })`. */
export const speaker =
  <Name extends string>(texts: Texts<Name>) =>
  (name: Name, values: Values = {}): string =>
    fillIn(texts[name][language], values)

/** How a placeholder shows its value. */
const shown: Record<string, (value: never) => string> = {
  duration,
  sizeDown: (bytes: number) => size(bytes, Math.floor),
  sizeUp: (bytes: number) => size(bytes, Math.ceil),
  time,
  count,
  down: (value: number) => `${Math.max(0, Math.floor(value))}`,
  up: (value: number) => `${Math.max(1, Math.ceil(value))}`,
}

/**
 * Fills a text in: `{name}` is a value, `{name:how}` a value with a format of `shown`, and `{count|1 photo|# photos}` the
 * form for 1 or the form for more, where # is the number. The first of three forms is for 0.
 */
export const fillIn = (text: string, values: Values): string =>
  text.replaceAll(/\{(\w+)(?::(\w+))?(?:\|([^}]*))?\}/g, (_, name: string, how, listed?: string) => {
    const value = values[name]
    if (listed === undefined) return shown[how]?.(value as never) ?? isolated(String(value))
    const forms = listed.split('|')
    const form = value === 0 && forms.length > 2 ? forms[0] : forms.at(value === 1 ? -2 : -1)
    return (form ?? '').replace('#', () => (typeof value === 'number' ? whole(value) : String(value)))
  })

/** A name in a script that runs from right to left, or with a mark that turns text, would turn the numbers behind it. */
const isolated = (text: string): string => (turning.test(text) ? `\u2068${text}\u2069` : text)
const turning = /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/

/** Puts texts into the page's HTML: `data-text="drop"` gets the text named drop; `data-label` an aria-label. */
export function translate(texts: Texts): void {
  document.documentElement.lang = language
  for (const element of document.querySelectorAll<HTMLElement>('[data-text], [data-label]')) {
    const { text, label } = element.dataset
    if (text) element.textContent = texts[text]?.[language] ?? null
    if (label) element.setAttribute('aria-label', texts[label]?.[language] ?? '')
  }
}

export const numberFormat = (options: Intl.NumberFormatOptions = {}) =>
  new Intl.NumberFormat(language, options).format
const whole = numberFormat({ maximumFractionDigits: 0 })

/** A whole number, rounded down. */
export function count(value: number): string {
  return whole(Math.floor(value))
}

/** A duration for people: `0.04 s`, tenths from a second, whole seconds from ten, `2 min 5 s` from 100, then `3 h 20 min`. */
export function duration(seconds: number): string {
  const [h, min, s] = language === 'ko' ? ['시간', '분', '초'] : [' h', ' min', ' s']
  if (seconds < 0.995)
    return `${numberFormat({ maximumFractionDigits: seconds < 0.01 ? 3 : 2 })(seconds)}${s}`
  if (seconds < 9.95) return `${upToTenths(seconds)}${s}`
  if (seconds < 99.5) return `${whole(seconds)}${s}`
  const [length, unit, part] = seconds < 6_000 ? [60, min, s] : [3_600, h, min]
  const rest = Math.floor((seconds % length) / (length / 60))
  return `${whole(Math.floor(seconds / length))}${unit}${rest > 0 ? ` ${rest}${part}` : ''}`
}

/** The browser's region decides the look of a time: 24 hours in Britain, 12 in America. */
const region = spoken.find(name => firstKnown([name]) === language) ?? language
const timeFormat = (options: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat(partsOf(region).slice(1).filter(Boolean).join('-'), options).format
const clock = timeFormat({ hour: 'numeric', minute: '2-digit' })
const date = { month: 'short', day: 'numeric' } as const
const [day, dayOfYear] = [timeFormat(date), timeFormat({ ...date, year: 'numeric' })]

/** A time of the day, with its date unless it is today, and the year unless it is this one. */
function time(at: Date): string {
  const now = new Date()
  if (at.toDateString() === now.toDateString()) return clock(at)
  const isThisYear = at.getFullYear() === now.getFullYear()
  return `${(isThisYear ? day : dayOfYear)(at)} ${clock(at)}`
}

/** At most one digit after the point. */
export const upToTenths = numberFormat({ maximumFractionDigits: 1 })

/**
 * A size for people, in the units that files are shown in, 1 MB being 2²⁰ bytes. A limit is rounded down and what exceeds
 * it up: to the nearest, both could be the same.
 */
function size(bytes: number, round: (value: number) => number): string {
  const [unit, name] = bytes < 2 ** 20 ? [2 ** 10, 'KB'] : [2 ** 20, 'MB']
  return `${upToTenths(round((bytes / unit) * 10) / 10)} ${name}`
}
