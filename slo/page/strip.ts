import { h } from '@tintype/lib/page/browser/dom.ts'
import type { ObjectiveState } from './api.ts'
import { asTable, cellWords, chart, clockOf, firstMeasured, measuredText, runs } from './parts.ts'
import { translated, word } from './words.ts'

/** What part of the day is shown: the hours that end `until` minutes before its end. */
export type Zoom = { hours: number; until: number }

export const zooms = [24, 6, 1] as const
const minutesADay = 1440

/** The zooms that show less than everything measured, and the whole day. */
export const usefulZooms = (objectives: readonly ObjectiveState[]): number[] =>
  zooms.filter(hours => hours === 24 || hours * 60 < minutesADay - firstMeasured(objectives))

export const clamp = ({ hours, until }: Zoom): Zoom => ({
  hours,
  until: Math.min(minutesADay - hours * 60, Math.max(0, until)),
})

/**
 * The strips of all objectives on one time axis. What was measured fills the width: the axis begins with the first
 * measured minute. A click zooms in on what was clicked.
 */
export function dayStrips(objectives: ObjectiveState[], zoom: Zoom, move: (zoom: Zoom) => void): HTMLElement {
  const [first] = objectives
  const to = minutesADay - zoom.until
  const from = Math.max(to - zoom.hours * 60, firstMeasured(objectives))
  const length = to - from
  if (!first || length <= 0) return h('p', { class: 'soft' }, word('nothingCounted'))
  const click = (event: MouseEvent) => {
    const { left, width } = (event.currentTarget as Element).getBoundingClientRect()
    const minute = from + ((event.clientX - left) / width) * length
    const hours = usefulZooms(objectives).find(each => each < zoom.hours) ?? zoom.hours
    move(clamp({ hours, until: Math.round(minutesADay - minute - hours * 30) }))
  }
  const parts = Math.min(4, length)
  const ticks = Array.from({ length: parts + 1 }, (_, i) =>
    h('span', {}, clockOf(first.strip, from + (i * length) / parts)),
  )
  return h(
    'div',
    { class: 'strips' },
    objectives.flatMap(objective => [
      h('p', { class: 'small' }, translated(objective.displayName)),
      strip(objective, from, to, click),
    ]),
    h('div', { class: 'ticks small soft', 'aria-hidden': 'true' }, ticks),
    h('p', { class: 'small soft' }, measuredText(objectives)),
    legend(objectives, from, to),
    asTable(
      word('columnsDay'),
      objectives.flatMap(({ strip, displayName, kind }) =>
        runs(strip.states)
          .filter(({ letter }) => letter !== '.')
          .map(run => [
            clockOf(strip, run.from),
            clockOf(strip, run.to),
            `${translated(displayName)}: ${cellWords({ kind })[run.letter]}`,
          ]),
      ),
    ),
  )
}

function strip(
  objective: ObjectiveState,
  from: number,
  to: number,
  click: (event: MouseEvent) => void,
): SVGElement {
  const names = cellWords(objective)
  const bars = runs(objective.strip.states.slice(from, to)).map(run => {
    const times = [run.from, run.to].map(minute => clockOf(objective.strip, from + minute))
    return { ...run, ...looks[run.letter], title: `${times.join('–')}: ${names[run.letter]}` }
  })
  return chart(translated(objective.displayName), to - from, bars as Parameters<typeof chart>[2], {
    class: 'strip',
    click,
  })
}

/** A state differs in height as well as in colour: good minutes are low, bad ones fill the strip. */
const looks: Record<string, { class: string; y: number }> = {
  o: { class: 'good', y: 6 },
  x: { class: 'bad', y: 0 },
  u: { class: 'unknown', y: 2 },
  p: { class: 'planned', y: 3 },
  '.': { class: 'before', y: 9 },
}

/** What each look means, for those that occur in the minutes [from, to). */
export function legend(objectives: ObjectiveState[], from: number, to: number): HTMLElement {
  const seen = objectives.flatMap(objective =>
    [...new Set(objective.strip.states.slice(from, to))].map(
      letter => [cellWords(objective)[letter] ?? '', looks[letter]?.class] as const,
    ),
  )
  const swatches = [...new Map(seen)].map(([text, name]) =>
    h('span', {}, h('i', { class: `swatch ${name}`, 'aria-hidden': 'true' }), ` ${text}`),
  )
  return h('p', { class: 'legend small soft' }, swatches)
}
