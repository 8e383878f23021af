import { type Content, find, h, redraw } from '@tintype/lib/page/browser/dom.ts'
import { duration } from '@tintype/lib/page/browser/language.ts'
import { readOften } from '@tintype/lib/page/browser/read-often.ts'
import { serverNow } from '@tintype/lib/page/browser/server.ts'
import { type Recent, type RecentRow, recentLists } from './api.ts'
import { entriesOf, read, say, wordFor } from './words.ts'

const refreshMs = 10_000

/**
 * The newest sessions and what is unusual, read again while the tab is seen. `lead` gets the state in a sentence; it is
 * undefined while it shows what a search found.
 */
export function showRecent(lead: HTMLElement | undefined): void {
  const refresh = async () => {
    try {
      const recent = await read<Recent>('recent.json')
      redraw(find('#keys'), ...optionsOf(recent))
      redraw(
        find('#recent'),
        sectionOf('sessions', recent),
        h(
          'div',
          {},
          unusual.map(name => sectionOf(name, recent)),
        ),
      )
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
