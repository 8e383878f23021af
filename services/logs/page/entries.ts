import { h } from '@tintype/lib/page/browser/dom.ts'
import { duration } from '@tintype/lib/page/browser/language.ts'
import { type Entry, type Story, serviceOf, timeOf } from './api.ts'
import { clock } from './chart.ts'
import { words } from './words.ts'

export const anchorOf = (entry: Entry): string => `entry-${entry.id}`

/** The entries in words, with the pauses between them; the payload opens on click. */
export function listEntries({ entries, gaps }: Story): HTMLElement[] {
  const pauses = new Map(gaps.map(({ fromMs, toMs }) => [toMs, (toMs - fromMs) / 1000]))
  let day = ''
  return entries.flatMap(entry => {
    const ms = timeOf(entry)
    const pause = pauses.get(ms)
    pauses.delete(ms)
    const today = new Date(ms).toISOString().slice(0, 10)
    const rows = [
      ...(pause === undefined ? [] : [h('li', { class: 'pause' }, words.pause(duration(pause)))]),
      ...(today === day ? [] : [h('li', { class: 'pause' }, today)]),
      h('li', {}, describe(entry, ms)),
    ]
    day = today
    return rows
  })
}

function describe(entry: Entry, ms: number): HTMLElement {
  const { event, level, trace, ...facts } = entry.payload
  const short = Object.entries(facts).map(
    ([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`,
  )
  const links = [
    ...(entry.session ? [link(words.whole, entry.session)] : []),
    ...(typeof trace === 'string' ? [link(words.trace, trace)] : []),
  ]
  return h(
    'details',
    { id: anchorOf(entry) },
    h(
      'summary',
      {},
      h(
        'time',
        { class: 'mono', datetime: new Date(ms).toISOString() },
        `${clock(ms)}${entry.effective_at ? ' ~' : ''}`,
      ),
      h('span', { class: 'soft' }, serviceOf(entry)),
      h(
        'strong',
        { 'data-level': level },
        level === 'info' || level === 'debug' ? event : `${event} (${level})`,
      ),
      h('span', { class: 'soft' }, short.join(' · ')),
    ),
    ...(entry.effective_at
      ? [h('p', { class: 'small soft' }, `${entry.timestamp}: ${words.corrected}`)]
      : []),
    h('pre', { class: 'small' }, JSON.stringify(entry, null, 2)),
    h('p', { class: 'row small' }, ...links),
  )
}

const link = (text: string, key: string) => h('a', { href: `?key=${key}` }, text)
