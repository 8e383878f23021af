import { find, h, redraw } from '@tintype/lib/page/browser/dom.ts'
import { duration, fillIn } from '@tintype/lib/page/browser/language.ts'
import { type Recent, type RecentRow, recentLists } from './api.ts'
import { entriesOf, getJson, wordFor, words } from './words.ts'

const refreshMs = 10_000

/**
 * The newest sessions and what is unusual, read again while the tab is seen. `lead` gets the state in a sentence; it is
 * undefined while it shows what a search found.
 */
export function showRecent(lead: HTMLElement | undefined): void {
  let shown = ''
  const read = async () => {
    if (document.hidden) return
    try {
      const recent = await getJson<Recent>('recent.json')
      // Made anew only when something is new, so that focus and selection stay.
      const now = JSON.stringify(recent)
      if (now === shown) return
      shown = now
      find('#keys').replaceChildren(...optionsOf(recent))
      redraw(find('#recent'), ...sectionsOf(recent))
      const text = sentence(recent)
      // Unchanged text must not be set again: screen readers would announce it each time.
      if (lead && lead.textContent !== text) lead.textContent = text
    } catch (error) {
      if (lead) lead.textContent = (error as Error).message
      shown = ''
    }
  }
  setInterval(read, lead ? refreshMs : 6 * refreshMs)
  document.addEventListener('visibilitychange', read)
  void read()
}

/** The text with the number, unless it is 0. */
const some = (text: string, count: number): string[] => (count > 0 ? [fillIn(text, { count })] : [])

function sentence({ fromMs, counts: { photos, failed, late, troubles } }: Recent): string {
  if (fromMs === 0) return words.nothingYet
  const unusual = [
    ...some(words.someFailed, failed),
    ...some(words.someLate, late),
    ...some(words.someTroubles, troubles),
  ]
  const photosSince = fillIn(words.recentPhotos, { photos, from: clock(fromMs) })
  return [photosSince, ...(unusual.length > 0 ? unusual : [words.allWell])].join(' ')
}

function optionsOf(recent: Recent): HTMLElement[] {
  const rows = new Map(recentLists.flatMap(name => recent[name]).map(row => [row.key, row]))
  rows.delete(null)
  return [...rows].map(([value, row]) =>
    h('option', { value: `${value}`, label: `${clock(row.atMs)}, ${facts(row)}` }),
  )
}

const sectionsOf = (recent: Recent): HTMLElement[] =>
  recentLists
    .filter(name => recent[name].length > 0)
    .map(name => h('section', {}, h('h2', {}, words[name]), h('ul', {}, ...recent[name].map(item))))

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

function facts({ counts, text, seconds }: RecentRow): string {
  const { photos = 0, failed = 0, late = 0 } = counts ?? {}
  return [
    ...(counts ? [fillIn(words.photos, { count: photos })] : []),
    ...some(words.countFailed, failed),
    ...some(words.countLate, late),
    ...(text === undefined ? [] : [wordFor(text)]),
    ...(seconds === undefined ? [] : [duration(seconds)]),
  ].join(', ')
}

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19)
