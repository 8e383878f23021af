import { type Content, h } from '@tintype/lib/page/browser/dom.ts'
import { alertStrip } from './alerts.ts'
import type { ObjectiveState } from './api.ts'
import { asTable, cellWords, chart, clockOf, firstMeasured, measuredText, runs, ticks } from './parts.ts'
import { say, translated } from './words.ts'

export const zooms = [24, 6, 1] as const
const minutesADay = 1440

/** The zooms that show less than everything measured, and the whole day. */
export const usefulZooms = (objectives: readonly ObjectiveState[]): number[] =>
  zooms.filter(hours => hours === 24 || hours * 60 < minutesADay - firstMeasured(objectives))

/**
 * The strips of all objectives on one time axis from the first measured minute on. `hours` of it fill the screen,
 * or all of it when less was measured.
 */
export function dayStrips(objectives: ObjectiveState[], hours: number): HTMLElement {
  const [first] = objectives
  const from = firstMeasured(objectives)
  const length = minutesADay - from
  if (!first || length <= 0) return h('p', { class: 'soft' }, say('nothingCounted'))
  const screens = Math.max(1, length / (hours * 60))
  const beginMs = Date.parse(first.strip.from)
  const axis = ticks(beginMs + from * 60_000, beginMs + minutesADay * 60_000, Math.round(4 * screens))
  const strips = objectives.map(objective => [
    h('p', { class: 'small' }, translated(objective.displayName)),
    strip(objective, from),
    objective.alerts.length > 0 && alertStrip(objective, from),
  ])
  return h('div', { class: 'strips', style: { width: `${100 * screens}%` } }, strips, axis)
}

/** Since when it is measured, what the looks of the strips mean, and the strips as a table. */
export function dayFacts(objectives: ObjectiveState[]): Content {
  const from = firstMeasured(objectives)
  if (from >= minutesADay) return false
  const hasAlerts = objectives.some(({ alerts }) => alerts.length > 0)
  const rows = objectives.flatMap(({ strip, displayName, kind }) => {
    const text = (letter: string) => `${translated(displayName)}: ${cellWords({ kind })[letter]}`
    const measured = runs(strip.states).filter(({ letter }) => letter !== '.')
    return measured.map(run => [clockOf(strip, run.from), clockOf(strip, run.to), text(run.letter)])
  })
  const measured = h('p', { class: 'small soft' }, measuredText(objectives))
  return [measured, legend(objectives, from, hasAlerts), asTable(say('columnsDay'), rows)]
}

function strip(objective: ObjectiveState, from: number): SVGElement {
  const names = cellWords(objective)
  const { states } = objective.strip
  const bars = runs(states.slice(from)).map(run => {
    const times = [run.from, run.to].map(minute => clockOf(objective.strip, from + minute))
    const { name, y } = looks[run.letter] ?? unmeasured
    return { ...run, class: name, y, title: `${times.join('–')}: ${names[run.letter]}` }
  })
  return chart(translated(objective.displayName), states.length - from, bars, { class: 'strip' })
}

/** A state differs in height as well as in colour: good minutes are low, bad ones fill the strip. */
const unmeasured = { name: 'before', y: 9 }
const looks: Record<string, { name: string; y: number }> = {
  o: { name: 'good', y: 6 },
  x: { name: 'bad', y: 0 },
  u: { name: 'unknown', y: 2 },
  p: { name: 'planned', y: 3 },
  '.': unmeasured,
}

/** The meanings of the looks that occur from a minute on and, with `hasAlerts`, of an alert's bar. */
export function legend(objectives: ObjectiveState[], from: number, hasAlerts = false): HTMLElement {
  const seen = new Map<string | undefined, string | undefined>()
  for (const objective of objectives)
    for (const letter of new Set(objective.strip.states.slice(from)))
      seen.set(cellWords(objective)[letter], looks[letter]?.name)
  if (hasAlerts) seen.set(say('alerts'), 'firing')
  const swatches = [...seen].map(([text, name]) =>
    h('span', {}, h('i', { class: `swatch ${name}`, 'aria-hidden': 'true' }), text),
  )
  return h('p', { class: 'legend small soft' }, swatches)
}
