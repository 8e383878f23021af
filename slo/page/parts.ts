import { type Content, h, svg } from '@tintype/lib/page/browser/dom.ts'
import { language } from '@tintype/lib/page/browser/language.ts'
import type { ObjectiveState, State } from './api.ts'
import { clock, moment, say, shortTime } from './words.ts'

/** The letters of a strip: what each means, by the kind of its objective. */
export const cellWords = ({ kind }: Pick<ObjectiveState, 'kind'>): Record<string, string> => ({
  o: say(kind === 'minutes' ? 'online' : 'goodCell'),
  x: say(kind === 'minutes' ? 'offline' : 'badCell'),
  u: say(kind === 'minutes' ? 'noData' : 'noneCounted'),
  p: say('plannedCell'),
  '.': say('before'),
})

/** Consecutive minutes in one state: the strip's minutes [from, to). */
export const runs = (states: string) =>
  [...states.matchAll(/(.)\1*/g)].map(({ 0: all, 1: letter = '', index: from }) => {
    return { letter, from, to: from + all.length }
  })

/** The first measured minute of these strips; their length when nothing was measured. */
export const firstMeasured = (objectives: readonly ObjectiveState[]): number =>
  Math.min(...objectives.map(({ strip: { states } }) => /[^.]|$/.exec(states)?.index ?? 0))

export const clockOf = ({ from }: ObjectiveState['strip'], minute: number): string =>
  clock(Date.parse(from) + minute * 60_000)

/** `Measured since 04:12: 13 min of 24 hours.`; null when all of the day was measured. */
export function measuredText(objectives: readonly ObjectiveState[]): string | null {
  const [first] = objectives
  const begin = firstMeasured(objectives)
  if (!first || begin === 0) return null
  const measured = first.strip.states.length - begin
  const [hours, minutes] = [Math.floor(measured / 60), measured % 60]
  const length = hours > 0 ? say('hoursAndMinutes', { hours, minutes }) : say('minutes', { n: minutes })
  return say('measuredSince', { time: clockOf(first.strip, begin), length })
}

/** A bar of a chart: from and to on its axis, and from which of ten lines down it is drawn. */
export type Bar = { from: number; to: number; class: string; title: string; y?: number }

/** Bars on an axis from 0 to `length` that takes the whole width. */
export function chart(label: string, length: number, bars: readonly Bar[], attributes = {}): SVGElement {
  const frame = { viewBox: `0 0 ${length} 10`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label }
  const drawn = bars.map(({ from, to, class: name, title, y = 0 }) =>
    svg('rect', { class: name, x: from, y, width: to - from, height: 10 - y }, svg('title', {}, title)),
  )
  return svg('svg', { ...frame, ...attributes }, drawn)
}

/** Up to `most` + 1 times below a chart, evenly spaced over its whole width. `from` and `to`: epoch ms. */
export function ticks(from: number, to: number, most = 4): HTMLElement {
  const parts = Math.max(1, Math.min(most, Math.floor((to - from) / 60_000)))
  const tick = (i: number) => h('span', {}, clock(from + (i * (to - from)) / parts))
  const all = Array.from({ length: parts + 1 }, (_, i) => tick(i))
  return h('div', { class: 'ticks small soft', 'aria-hidden': 'true' }, all)
}

type Cell = Exclude<Content, Content[]>

/**
 * A table with its columns named, `a | b`; columns of numbers are aligned right. On a narrow screen it scrolls sideways.
 * It can have the focus, so that the keyboard scrolls it.
 */
export function table(label: string, columns: string, rows: readonly (readonly Cell[])[], name = '') {
  const isNumber = (cell: Cell) => typeof cell === 'string' && /^([\d.,]+ ?[%KMBT만억조]?|–)$/.test(cell)
  const row = (kind: 'td' | 'th', cells: readonly Cell[]) =>
    cells.map((cell, i) => {
      const isNumeric = rows.length > 0 && rows.every(each => isNumber(each[i]))
      return h(kind, { class: isNumeric && 'number', scope: kind === 'th' && 'col' }, cell)
    })
  const head = h('thead', {}, h('tr', {}, row('th', columns.split(' | '))))
  const body = h('tbody', {}, ...rows.map(cells => h('tr', {}, row('td', cells))))
  const attributes = { class: 'wide', tabindex: 0, role: 'group', 'aria-label': label }
  return h('div', attributes, h('table', { class: name }, head, body))
}

export function plannedTable(planned: State['planned']): HTMLElement {
  const rows = planned.map(({ from, to, reason }) => [shortTime(from), moment(to, from), reason])
  return table(say('planned'), say('plannedColumns'), rows)
}

export const runbookLink = (address: string): HTMLElement =>
  h('a', { href: runbookAddress(address) }, say('runbook'))

/** slo serves its own runbooks in both languages: such an address gets the page's language. Any other stays as written. */
export const runbookAddress = (address: string): string =>
  /^docs\//.test(address)
    ? address.replace(/\?|(?=#)|$/, found => `?lang=${language}${found && '&'}`)
    : address

/** The address of this page as it was at a time; null: as it is now. */
export function addressAt(time: string | null): string {
  const address = new URL(location.href)
  if (time === null) address.searchParams.delete('at')
  else address.searchParams.set('at', time)
  return address.href
}

export const folded = (summary: string, content: Content): HTMLElement =>
  h('details', { class: 'small' }, h('summary', {}, summary), content)

/** What a chart shows as a table, folded away. */
export const asTable = (columns: string, rows: readonly (readonly Cell[])[]): HTMLElement =>
  folded(say('table'), table(say('table'), columns, rows))
