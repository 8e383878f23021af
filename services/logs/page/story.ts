import { type Content, h } from '@tintype/lib/page/browser/dom.ts'
import { duration } from '@tintype/lib/page/browser/language.ts'
import type { Story } from '../timeline.ts'
import { type Entry, entryText, factText, nameOf, serviceOf, timeOf } from './api.ts'
import { axisOf } from './axis.ts'
import { entriesOf, say, wordFor } from './words.ts'

/** Further photos are in the list of entries only. */
const maxPhotos = 24
/** Width of a time label below the chart, in percent of the chart on a wide screen. */
const tickPercent = 12

/** Lanes of entries by service, bars of stages by photo, quiet times shaded; `select` is called with a clicked entry. */
export function drawStory(story: Story, select: (entry: Entry) => void): HTMLElement {
  const { services, entries, stages, gaps } = story
  const times = [...entries.map(timeOf), ...stages.map(({ fromMs }) => fromMs)]
  const [from, to] = [Math.min(...times), Math.max(...times)]
  const x = axisOf(from, to, gaps)
  const stretch = (name: string, fromMs: number, toMs: number, title: string, more = {}) => {
    const style = { left: `${x(fromMs)}%`, width: `${x(toMs) - x(fromMs)}%` }
    return h('i', { class: name, title, style, ...more })
  }
  const lane = (name: string, content: Content, kind = '') => {
    const quiet = gaps.map(gap => stretch('gap', gap.fromMs, gap.toMs, pauseOf(gap)))
    return [h('span', { title: name }, name), h('div', { class: `lane ${kind}` }, quiet, content)]
  }
  const mark = (entry: Entry) => {
    const title = `${preciseTime(timeOf(entry))} ${nameOf(entry)}`
    const style = { left: `${x(timeOf(entry))}%` }
    const click = () => select(entry)
    return h('i', { class: 'mark', 'data-level': factText(entry.payload.level), title, style, click })
  }
  const photos = [...new Set(stages.map(({ photo }) => photo))].slice(0, maxPhotos)
  const bars = photos.map(own =>
    stages.flatMap(({ photo, stage, fromMs, toMs }) => {
      if (photo !== own) return []
      const title = `${wordFor(stage)} ${duration((toMs - fromMs) / 1000)}`
      return stretch('bar', fromMs, toMs, title, { 'data-stage': stage })
    }),
  )
  return h(
    'div',
    { class: 'lanes small', role: 'img', 'aria-label': say('chart') },
    services.map(name => lane(name, entries.filter(entry => serviceOf(entry) === name).map(mark))),
    bars.map(content => lane('', content, 'thin')),
    h('div', { class: 'ticks soft' }, ticks(story, from, x), to > from && h('span', {}, preciseTime(to))),
  )
}

/** Labels for the start and the end of each gap, without those that would overlap. */
function ticks({ gaps }: Story, from: number, x: (ms: number) => number): HTMLElement[] {
  let free = 0
  return [from, ...gaps.map(({ toMs }) => toMs)].flatMap(ms => {
    if (x(ms) < free || x(ms) > 100 - 2 * tickPercent) return []
    free = x(ms) + tickPercent
    return h('span', { style: { left: `${x(ms)}%` } }, preciseTime(ms))
  })
}

const pauseOf = ({ fromMs, toMs }: Story['gaps'][number]) =>
  say('pause', { time: duration((toMs - fromMs) / 1000) })
const preciseTime = (ms: number): string => new Date(ms).toISOString().slice(11, 23)

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
  const short = Object.entries(facts).map(([name, value]) => `${name} ${factText(value)}`)
  const time = { class: 'mono', datetime: new Date(ms).toISOString() }
  const line = [
    h('time', time, `${preciseTime(ms)}${effective ? ' ~' : ''}`),
    h('span', { class: 'soft' }, serviceOf(entry)),
    h('strong', { 'data-level': factText(level) }, nameOf(entry)),
    h('span', { class: 'soft' }, short.join(' · ')),
  ]
  const link = (text: string, key: unknown) =>
    typeof key === 'string' && h('a', { href: entriesOf(key) }, text)
  return h(
    'details',
    { id: anchorOf(entry) },
    h('summary', { click: staysWhenSelected }, line),
    effective && h('p', { class: 'small soft' }, say('corrected', { timestamp })),
    h('pre', { class: 'small' }, entryText(entry)),
    h('p', { class: 'row small' }, link(say('whole'), session), link(say('trace'), trace)),
  )
}

/** Text of the line is selected with the mouse, to be copied: that unfolds nothing. */
const staysWhenSelected = (event: MouseEvent): void => {
  if (event.detail > 0 && getSelection()?.isCollapsed === false) event.preventDefault()
}
