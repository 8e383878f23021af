import { type Content, find, h, readOften, redraw } from '@tintype/lib/page/browser/dom.ts'
import { duration, language, numberFormat } from '@tintype/lib/page/browser/language.ts'
import { serverNow } from '@tintype/lib/page/browser/server.ts'
import type { Recent } from '../recent.ts'
import type { SizingAnswer } from '../sizing.ts'
import { type RecentRow, recentLists, sizeText } from './api.ts'
import { entriesOf, read, say, wordFor } from './words.ts'

const refreshMs = 10_000

/** Newest sessions and what is unusual, read while the tab is seen. `lead` gets the state, unless a search uses it. */
export function showRecent(lead: HTMLElement | undefined): void {
  const refresh = async () => {
    try {
      const recent = await read<Recent>('recent.json')
      redraw(find('#keys'), ...optionsOf(recent))
      const others = unusual.map(name => sectionOf(name, recent))
      redraw(find('#recent'), sectionOf('sessions', recent), h('div', {}, others))
      if (lead) redraw(lead, sentence(recent))
    } catch (error) {
      if (lead) redraw(lead, (error as Error).message)
    }
  }
  void readOften(lead ? refreshMs : 6 * refreshMs, refresh)
}

function sentence({ fromMs, counts }: Recent): string {
  if (fromMs === 0) return say('nothingYet')
  const text = say('recentPhotos', { ...counts, from: clock(fromMs) })
  return counts.failed + counts.late + counts.troubles > 0 ? text : `${text} ${say('allWell')}`
}

function optionsOf(recent: Recent): HTMLElement[] {
  const rows = new Map(recentLists.flatMap(name => recent[name]).map(row => [row.key, row]))
  rows.delete(null)
  return [...rows].map(([value, row]) =>
    h('option', { value: `${value}`, label: `${clock(row.atMs)}, ${facts(row)}` }),
  )
}

const [, ...unusual] = recentLists

const sectionOf = (name: (typeof recentLists)[number], recent: Recent): Content =>
  recent[name].length > 0 && h('section', {}, h('h2', {}, say(name)), h('ul', {}, recent[name].map(item)))

/** Links to the entries of a key; what belongs to no session or photo has none. */
function item(row: RecentRow): HTMLElement {
  const { key, atMs, state } = row
  return h(
    'li',
    {},
    h('time', { class: 'mono', datetime: new Date(atMs).toISOString() }, clock(atMs)),
    key === null ? h('span') : h('a', { class: 'mono', href: entriesOf(key) }, key),
    h('span', { class: state && 'state', 'data-state': state }, facts(row)),
  )
}

const facts = ({ counts, text, seconds }: RecentRow): string =>
  [counts && say('photos', counts), text && wordFor(text), seconds !== undefined && duration(seconds)]
    .filter(Boolean)
    .join(', ')

/** A time of the day, with its date unless it is today. */
function clock(ms: number): string {
  const [date, time] = new Date(ms).toISOString().slice(5, 19).split('T') as [string, string]
  return date === new Date(serverNow()).toISOString().slice(5, 10) ? time : `${date} ${time}`
}

const number = numberFormat()
const bytes = (value: number): string => sizeText(value, language)
const barWidthRem = 14

/** The forecast in sentences, and the days as bars by service and in numbers. */
export function showSizing(sizing: SizingAnswer): void {
  const { days, today } = sizing
  const { logsDays: logs, revisionsDays: revisions } = sizing.keep
  const sentences = [ofToday(sizing), ...forecast(sizing), say('kept', { logs, revisions })]
  redraw(find('#forecast'), sentences.join(' ').trim())
  const largest = Math.max(today?.bytes ?? 0, ...days.map(day => day.bytes))
  const rows = days.map(day => {
    const perSession = `${bytes(day.sessions.p50)}, ${bytes(day.sessions.p99)}`
    return row(day.day, bytes(day.bytes), bars(day.services, largest), number(day.entries), perSession)
  })
  // Its entries and sessions are counted when the day is published.
  if (today) {
    const name = say('today', { day: today.day })
    rows.push(row(name, bytes(today.bytes), bars(today.services, largest), '–', '–'))
  }
  find('#days').hidden = rows.length === 0
  find('#days tbody').replaceChildren(...rows)
}

const row = (head: string, ...cells: (Node | string)[]): HTMLElement =>
  h(
    'tr',
    {},
    h('th', { scope: 'row' }, head),
    ...cells.map(cell => h('td', { class: typeof cell === 'string' && 'number' }, cell)),
  )

/** Before that, the start of the processes is most of what was logged. */
const rateAfterMs = 600_000
const dayMs = 86_400_000

function ofToday({ today }: SizingAnswer): string {
  if (!today) return ''
  const tookMs = Math.max(1_000, serverNow() - today.fromMs)
  const daily = bytes((today.bytes * dayMs) / tookMs)
  const rate = tookMs < rateAfterMs ? say('tooEarly') : say('perDay', { daily })
  return say('soFar', { size: bytes(today.bytes), took: duration(tookMs / 1000), rate })
}

function forecast(sizing: SizingAnswer): string[] {
  const { days, hours, counted, bytesPerDay, freeBytes, daysUntilFull } = sizing
  if (days.length === 0 && bytesPerDay === null) return [say('noDays')]
  const each = (value: number | null) => (value === null ? say('overHorizon') : number(value))
  const { low, likely, high } = daysUntilFull
  const range = { low: each(low), likely: each(likely), high: each(high) }
  const until = low === high ? range.likely : say('range', range)
  const text = counted === 'disk' ? 'forecastOfDisk' : 'forecastOfLogs'
  const values = { daily: bytes(bytesPerDay ?? 0), free: bytes(freeBytes), days: until }
  return [
    bytesPerDay === null ? say('noForecast') : say(text, values),
    ...(hours === null ? [] : [say('extrapolated', { hours: number(hours) })]),
  ]
}

function bars(services: Record<string, { bytes: number }>, largest: number): HTMLElement {
  const parts = Object.entries(services).sort(([, a], [, b]) => b.bytes - a.bytes)
  const text = parts.map(([service, count]) => `${service} ${bytes(count.bytes)}`).join(' · ')
  const drawn = parts.map(([service, count]) => {
    const style = { width: `${(barWidthRem * count.bytes) / largest}rem` }
    return h('span', { class: 'size', 'data-service': service, style })
  })
  return h('div', {}, h('span', { class: 'sizes' }, ...drawn), h('span', { class: 'small soft' }, text))
}
