import { h } from '@tintype/lib/page/browser/dom.ts'
import type { ObjectiveState } from './api.ts'
import { clock } from './format.ts'
import { words } from './words.ts'

const minuteMs = 60_000

/** The words of a strip's letters. */
export const cellWords = ({ kind }: Pick<ObjectiveState, 'kind'>): Record<string, string> => ({
  o: kind === 'minutes' ? words.onlineCell : words.keptCell,
  x: kind === 'minutes' ? words.offline : words.brokenCell,
  u: words.noData,
  p: words.plannedCell,
  '.': words.before,
})

/** A stretch of minutes in one state: from and to in minutes of the strip. */
export type Run = { letter: string; from: number; to: number }

export function runs(states: string): Run[] {
  const found: Run[] = []
  for (const [i, letter] of [...states].entries()) {
    const last = found.at(-1)
    if (last?.letter === letter) last.to = i + 1
    else found.push({ letter, from: i, to: i + 1 })
  }
  return found
}

export const timeOf = (strip: ObjectiveState['strip'], minute: number): number =>
  Date.parse(strip.from) + minute * minuteMs
export const clockOf = (strip: ObjectiveState['strip'], minute: number): string =>
  clock(timeOf(strip, minute))

/** A table with its columns named; numbers stand right. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): HTMLElement {
  const cell = (name: 'td' | 'th') => (text: string) =>
    h(name, name === 'th' ? { scope: 'col' } : { class: /^[\d.,]+ ?%?$/.test(text) ? 'number' : '' }, text)
  return h(
    'table',
    {},
    h('thead', {}, h('tr', {}, ...columns.map(cell('th')))),
    h('tbody', {}, ...rows.map(row => h('tr', {}, ...row.map(cell('td'))))),
  )
}

/** What a chart shows as a table, folded away. */
export const asTable = (columns: readonly string[], rows: readonly (readonly string[])[]): HTMLElement =>
  h(
    'details',
    { class: 'small' },
    h('summary', {}, words.table),
    h('div', { class: 'wide' }, table(columns, rows)),
  )
