import { h } from '@tintype/lib/page/browser/dom.ts'
import { type Entry, nameOf, type Story, serviceOf, timeOf } from './api.ts'
import { pauseOf, preciseTime } from './chart.ts'
import { entriesOf, say } from './words.ts'

export const anchorOf = (entry: Entry): string => `entry-${entry.id}`

/** The entries in words, with the pauses between them and the days; the whole entry opens on click. */
export function listEntries({ entries, gaps }: Story): HTMLElement[] {
  const pauses = new Map(gaps.map(gap => [gap.toMs, gap]))
  const pause = (text: string) => h('li', { class: 'pause' }, text)
  let shown = ''
  return entries.flatMap(entry => {
    const ms = timeOf(entry)
    const quiet = pauses.get(ms)
    pauses.delete(ms)
    const day = new Date(ms).toISOString().slice(0, 10)
    const rows = [
      ...(quiet ? [pause(pauseOf(quiet))] : []),
      ...(day === shown ? [] : [pause(day)]),
      h('li', {}, describe(entry, ms)),
    ]
    shown = day
    return rows
  })
}

function describe(entry: Entry, ms: number): HTMLElement {
  const { timestamp, effective_at: effective, session } = entry
  const { event, level, trace, ...facts } = entry.payload
  const short = Object.entries(facts).map(
    ([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`,
  )
  const time = { class: 'mono', datetime: new Date(ms).toISOString() }
  return h(
    'details',
    { id: anchorOf(entry) },
    h(
      'summary',
      { click: staysWhenSelected },
      h('time', time, `${preciseTime(ms)}${effective ? ' ~' : ''}`),
      h('span', { class: 'soft' }, serviceOf(entry)),
      h('strong', { 'data-level': level }, nameOf(entry)),
      h('span', { class: 'soft' }, short.join(' · ')),
    ),
    effective && h('p', { class: 'small soft' }, say('corrected', { timestamp })),
    h('pre', { class: 'small' }, JSON.stringify(entry, null, 2)),
    h(
      'p',
      { class: 'row small' },
      session && link(say('whole'), session),
      typeof trace === 'string' && link(say('trace'), trace),
    ),
  )
}

/** Text of the line is selected with the mouse, to be copied: that unfolds nothing. */
const staysWhenSelected = (event: MouseEvent): void => {
  if (event.detail > 0 && getSelection()?.isCollapsed === false) event.preventDefault()
}

const link = (text: string, key: string) => h('a', { href: entriesOf(key) }, text)
