import { h } from '@tintype/lib/page/browser/dom.ts'
import { duration, language } from '@tintype/lib/page/browser/language.ts'
import type { SizingAnswer } from './api.ts'
import { words } from './words.ts'

const number = new Intl.NumberFormat(language)
const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const
const short = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 })
/** In powers of ten, as disks are sold: Intl's own compact bytes say `77BB`. */
function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3))
  return `${short.format(value / 1000 ** power)} ${units[power]}`
}
const barWidthRem = 14
const topEvents = 12

/** The forecast as a sentence, the days as bars by service, and the same as a table. */
export function showSizing(sizing: SizingAnswer, forecast: HTMLElement, into: HTMLElement): void {
  const { logsDays, revisionsDays } = sizing.keep
  forecast.textContent =
    `${sentenceOfToday(sizing)} ${sentence(sizing)}${words.kept(logsDays, revisionsDays)}`.trim()
  const newest = sizing.days.at(-1)
  into.replaceChildren()
  const { today } = sizing
  const largest = Math.max(today?.bytes ?? 0, ...sizing.days.map(day => day.bytes))
  const soFar = today ? [rowOfToday(today, largest)] : []
  const whole = sizing.days.map(day =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, day.day),
      h('td', {}, bars(day.services, largest)),
      h('td', { class: 'number' }, bytes(day.bytes)),
      h('td', { class: 'number' }, number.format(day.entries)),
      h('td', { class: 'number' }, `${bytes(day.sessions.p50)}, ${bytes(day.sessions.p99)}`),
    ),
  )
  const rows = [...whole, ...soFar]
  if (rows.length === 0) return
  const columns = [words.day, words.byService, words.size, words.entries, words.perSession]
  into.append(
    h(
      'div',
      { class: 'wide', tabindex: 0, role: 'group', 'aria-label': words.byService },
      table(columns, rows),
    ),
  )
  if (!newest) return
  const events = Object.entries(newest.events).slice(0, topEvents)
  into.append(
    h(
      'details',
      { class: 'small' },
      h('summary', {}, words.byEvent(newest.day)),
      table(
        [words.event, words.size, words.entries],
        events.map(([event, count]) =>
          h(
            'tr',
            {},
            h('td', {}, event),
            h('td', { class: 'number' }, bytes(count.bytes)),
            h('td', { class: 'number' }, number.format(count.entries)),
          ),
        ),
      ),
    ),
  )
}

/** Entries and sessions are counted when the day is published. */
const rowOfToday = ({ day, bytes: all, services }: NonNullable<SizingAnswer['today']>, largest: number) =>
  h(
    'tr',
    {},
    h('th', { scope: 'row' }, words.today(day)),
    h('td', {}, bars(services, largest)),
    h('td', { class: 'number' }, bytes(all)),
    h('td', { class: 'number' }, '–'),
    h('td', { class: 'number' }, '–'),
  )

/** Before that, the start of the processes is most of what was logged. */
const rateAfterMs = 600_000
const dayMs = 86_400_000

function sentenceOfToday({ today }: SizingAnswer): string {
  if (!today) return ''
  const tookMs = Math.max(1_000, Date.now() - today.fromMs)
  const rate = tookMs < rateAfterMs ? words.tooEarly : words.perDay(bytes((today.bytes * dayMs) / tookMs))
  return words.soFar(bytes(today.bytes), duration(tookMs / 1000)) + rate
}

function sentence({ days, counted, bytesPerDay, freeBytes, ...sizing }: SizingAnswer): string {
  if (days.length === 0) return words.noDays.trim()
  const each = (value: number | null) => (value === null ? words.overHorizon : number.format(value))
  const { low, likely, high } = sizing.daysUntilFull
  const until = low === high ? each(likely) : words.range(each(likely), each(low), each(high))
  const first =
    bytesPerDay === null
      ? words.noForecast
      : words.forecast(counted, bytes(bytesPerDay), bytes(freeBytes), until)
  const ratio = sizing.compressionRatio
  return ratio === null ? first : first + words.compresses(number.format(Math.round(ratio * 10) / 10))
}

function bars(services: Record<string, { bytes: number }>, largest: number): HTMLElement {
  const parts = Object.entries(services).map(([service, count]) => {
    const bar = h('span', {
      class: 'size',
      'data-service': service,
      title: `${service} ${bytes(count.bytes)}`,
    })
    bar.style.width = `${(barWidthRem * count.bytes) / largest}rem`
    return bar
  })
  return h('span', { class: 'sizes' }, ...parts)
}

function table(columns: string[], rows: HTMLElement[]): HTMLElement {
  const isNumber = (i: number) => rows[0]?.children[i]?.className === 'number'
  const head = columns.map((column, i) => h('th', { scope: 'col', class: isNumber(i) && 'number' }, column))
  return h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows))
}
