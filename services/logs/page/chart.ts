import { svg } from '@tintype/lib/page/browser/dom.ts'
import { duration, fillIn } from '@tintype/lib/page/browser/language.ts'
import { type Entry, type Story, serviceOf, timeOf } from './api.ts'
import { type Axis, axisOf } from './axis.ts'
import { wordFor, words } from './words.ts'

const laneHeight = 28
const photoHeight = 14
const tickHeight = 24
/** Further photos are in the list of entries only. */
const maxPhotos = 24
const tickWidth = 90

/** Lanes of entries by service, bars of stages by photo, quiet times shaded; `select` is called with a clicked entry. */
export function drawStory(story: Story, width: number, select: (entry: Entry) => void): SVGElement {
  const labels = width < 600 ? 84 : 120
  const photos = [...new Set(story.stages.map(({ photo }) => photo))].slice(0, maxPhotos)
  const times = [...story.entries.map(timeOf), ...story.stages.map(({ fromMs }) => fromMs)]
  const axis = axisOf(Math.min(...times), Math.max(...times), story.gaps, width - labels - 12)
  const lanesBottom = story.services.length * laneHeight
  const bottom = lanesBottom + photos.length * photoHeight
  const laneOf = new Map(story.services.map((service, i) => [service, i * laneHeight + laneHeight / 2]))
  return svg(
    'svg',
    { viewBox: `0 0 ${width} ${bottom + tickHeight}`, role: 'img', 'aria-label': words.chart },
    ...story.services.map(service =>
      svg('text', { x: 0, y: (laneOf.get(service) ?? 0) + 4 }, shorten(service, labels)),
    ),
    svg(
      'g',
      { transform: `translate(${labels} 0)` },
      ...axis.gaps.map(({ x, width, fromMs, toMs }) =>
        svg('rect', { class: 'gap', x, y: 0, width, height: bottom }, title(pauseOf((toMs - fromMs) / 1000))),
      ),
      ...[...laneOf.values()].map(y =>
        svg('line', { class: 'lane', x1: 0, x2: axis.x(Math.max(...times)), y1: y, y2: y }),
      ),
      ...story.stages.flatMap(({ photo, stage, fromMs, toMs }) => {
        const [x, row] = [axis.x(fromMs), photos.indexOf(photo)]
        if (row < 0) return []
        const place = { x, y: lanesBottom + row * photoHeight + 2, height: photoHeight - 4 }
        const width = Math.max(1.5, axis.x(toMs) - x)
        const name = title(`${wordFor(stage)} ${duration((toMs - fromMs) / 1000)}`)
        return svg('rect', { class: 'bar', 'data-stage': stage, ...place, width }, name)
      }),
      ...story.entries.map(entry =>
        mark(entry, axis.x(timeOf(entry)), laneOf.get(serviceOf(entry)) ?? 0, select),
      ),
      ...ticks(axis).map(({ ms, x }) => {
        const anchor = x > width - labels - 60 ? 'end' : 'start'
        return svg('text', { x, y: bottom + 18, 'text-anchor': anchor }, preciseTime(ms))
      }),
    ),
  )
}

/** A shape for each level, so that colour is not needed to distinguish them. */
function mark(entry: Entry, x: number, y: number, select: (entry: Entry) => void): SVGElement {
  const { level, event } = entry.payload
  const common = { class: 'mark', 'data-level': level, click: () => select(entry) }
  const name = title(`${preciseTime(timeOf(entry))} ${event}`)
  if (level === 'warn') return svg('path', { ...common, d: `M${x} ${y - 7}l7 12h-14z` }, name)
  if (level === 'error') return svg('path', { ...common, d: `M${x - 6} ${y - 6}h12v12h-12z` }, name)
  return svg('circle', { ...common, cx: x, cy: y, r: level === 'debug' ? 3.5 : 5 }, name)
}

/** Those times that do not overlap; the last one is written to its left. */
function ticks({ ticks }: Axis): Axis['ticks'] {
  let free = Number.NEGATIVE_INFINITY
  return ticks.filter(({ x }, i) => {
    const needed = i > 0 && i === ticks.length - 1 ? free + tickWidth : free
    if (x < needed) return false
    free = x + tickWidth
    return true
  })
}

const title = (text: string) => svg('title', {}, text)
/** A pause of the entries in words. */
export const pauseOf = (seconds: number) => fillIn(words.pause, { time: duration(seconds) })
const shorten = (text: string, width: number) =>
  text.length * 7 > width ? `${text.slice(0, width / 7 - 1)}…` : text
export const preciseTime = (ms: number): string => new Date(ms).toISOString().slice(11, 23)
