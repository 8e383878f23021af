import { h, svg } from '@tintype/lib/page/browser/dom.ts'
import type { ObjectiveState } from './api.ts'
import { clock } from './format.ts'
import { asTable, cellWords, clockOf, runs, timeOf } from './parts.ts'
import { say, words } from './words.ts'

/** What part of the strip is shown: the hours that end `until` minutes before its end. */
export type Zoom = { hours: number; until: number }

export const zooms = [24, 6, 1] as const
const minutesADay = 1440

/** The strips of all promises on one time axis; a click brings what was clicked into the middle. */
export function dayStrips(objectives: ObjectiveState[], zoom: Zoom, move: (zoom: Zoom) => void): HTMLElement {
  const length = zoom.hours * 60
  const from = minutesADay - zoom.until - length
  const first = objectives[0]
  if (!first) return h('div')
  const centre = (event: MouseEvent) => {
    const { left, width } = (event.currentTarget as Element).getBoundingClientRect()
    const minute = from + ((event.clientX - left) / width) * length
    const next = zooms[zooms.indexOf(zoom.hours as 24) + 1] ?? zoom.hours
    move(clamp({ hours: next, until: Math.round(minutesADay - minute - next * 30) }))
  }
  const ticks = Array.from({ length: 5 }, (_, i) =>
    h('span', {}, clock(timeOf(first.strip, from + (i * length) / 4))),
  )
  return h(
    'div',
    { class: 'strips' },
    ...objectives.flatMap(objective => [
      h('p', { class: 'small' }, say(objective.displayName)),
      strip(objective, from, length, centre),
    ]),
    h('div', { class: 'ticks small soft', 'aria-hidden': 'true' }, ...ticks),
    legend(objectives),
    asTable(
      words.columnsDay,
      objectives.flatMap(objective =>
        runs(objective.strip.states)
          .filter(({ letter }) => letter !== '.')
          .map(({ letter, from, to }) => [
            clockOf(objective.strip, from),
            clockOf(objective.strip, to),
            `${say(objective.displayName)}: ${cellWords(objective)[letter]}`,
          ]),
      ),
    ),
  )
}

export const clamp = ({ hours, until }: Zoom): Zoom => ({
  hours,
  until: Math.min(minutesADay - hours * 60, Math.max(0, until)),
})

function strip(
  objective: ObjectiveState,
  from: number,
  length: number,
  click: (event: MouseEvent) => void,
): SVGElement {
  const names = cellWords(objective)
  const shown = runs(objective.strip.states.slice(from, from + length))
  return svg(
    'svg',
    {
      class: 'strip',
      viewBox: `0 0 ${length} 10`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': say(objective.displayName),
      click,
    },
    ...shown.map(run =>
      svg(
        'rect',
        {
          class: `cell ${classOf(run.letter)}`,
          x: run.from,
          y: heightOf(run.letter),
          width: run.to - run.from,
          height: 10 - heightOf(run.letter),
        },
        svg(
          'title',
          {},
          `${clockOf(objective.strip, from + run.from)}–${clockOf(objective.strip, from + run.to)}: ${names[run.letter]}`,
        ),
      ),
    ),
  )
}

/** A state is a height beside its colour: good minutes lie low, what needs the eye stands up. */
const heightOf = (letter: string): number => ({ o: 6, '.': 9, p: 3, u: 2 })[letter] ?? 0
const classOf = (letter: string): string =>
  ({ o: 'good', x: 'bad', u: 'unknown', p: 'planned' })[letter] ?? 'before'

/** What each look means, for those that occur. */
export function legend(objectives: ObjectiveState[]): HTMLElement {
  const seen = new Map(
    objectives.flatMap(objective =>
      [...new Set(objective.strip.states)].map(
        letter => [`${classOf(letter)} ${cellWords(objective)[letter]}`, letter] as const,
      ),
    ),
  )
  return h(
    'p',
    { class: 'legend small soft' },
    ...[...seen].map(([key, letter]) =>
      h(
        'span',
        {},
        h('i', { class: `swatch ${classOf(letter)}`, 'aria-hidden': 'true' }),
        ` ${key.slice(key.indexOf(' ') + 1)}`,
      ),
    ),
  )
}
