import { find, h, redraw } from '@tintype/lib/page/browser/dom.ts'
import type { ObjectiveState, State } from './api.ts'
import { summary } from './cards.ts'
import { showLive } from './live.ts'
import { cellWords, clockOf, firstMeasured, measuredText, plannedTable, runs } from './parts.ts'
import { legend } from './strip.ts'
import { joined, moment, percent, say, translated } from './words.ts'

/** The lead names an objective about minutes and this many others; of more it gives only a summary. */
const maxInLead = 2

function draw({ objectives, planned, at }: State): void {
  const coming = planned.filter(({ to }) => to > at)
  find('#planned-section').hidden = coming.length === 0
  redraw(find('#planned'), plannedTable(coming))
  const ofMinutes = objectives.filter(({ kind }) => kind === 'minutes')
  const told = ofMinutes.length > 0 ? ofMinutes : objectives.slice(0, 1)
  const shown = told.find(({ strip }) => !/[o.]$/.test(strip.states)) ?? told[0]
  if (!shown) return
  const title = h('h2', {}, translated(shown.displayName))
  redraw(find('#hours'), title, h('p', { class: 'soft' }, measuredText([shown])), hours(shown))
  redraw(find('#legend'), legend([shown], firstMeasured([shown])))
  redraw(find('#incidents'), incidents(told))
}

/** Online or not, how much of the budget is used, and each objective about events. */
function lead(objectives: ObjectiveState[]): string {
  const minutes = objectives.filter(({ kind }) => kind === 'minutes')
  if (objectives.length > maxInLead + 1 || minutes.length > 1) return summary(objectives)
  const parts = [...minutes, ...objectives.filter(({ kind }) => kind === 'events')].map(leadOf)
  const last = minutes[0]?.strip.states.at(-1) ?? '.'
  const start = last === '.' ? '' : `${say(last === 'o' ? 'leadOnline' : 'leadOffline')} `
  return `${start}${parts.join('. ')}.`
}

function leadOf(objective: ObjectiveState): string {
  const { kind, displayName, good, bad, target, unit, silentSince, to } = objective
  const name = translated(displayName)
  const n = good + bad
  if (silentSince) return `${name}: ${say('noDataSince', { time: moment(silentSince, to) })}`
  if (n === 0) return say('leadNoEvents', { name })
  if (kind === 'minutes') return leadMinutes(objective)
  const values = { name, ratio: percent(good / n, target), n, unit: translated(unit) }
  return say(n === 1 ? 'leadOne' : 'leadEvents', values)
}

function leadMinutes({ bad, budget, windowMinutes, isRolling, from, to }: ObjectiveState): string {
  if (!isRolling) return say('leadSince', { n: bad, budget, time: moment(from, to) })
  const inDays = windowMinutes > 1440 && windowMinutes % 1440 === 0
  const unit = inDays ? 'windowDays' : windowMinutes % 60 === 0 ? 'windowHours' : 'minutes'
  const n = windowMinutes / { windowDays: 1440, windowHours: 60, minutes: 1 }[unit]
  return say('leadMinutes', { n: bad, budget, window: say(unit, { n }) })
}

/** The measured day as rows of 60 minutes, the newest below. Less than an hour fills one row. */
function hours(objective: ObjectiveState): HTMLElement {
  const { strip } = objective
  const names = cellWords(objective)
  const begin = Math.min(firstMeasured([objective]), strip.states.length - 1)
  const isShort = strip.states.length - begin < 60
  const rows: HTMLElement[] = []
  for (let from = isShort ? begin : begin - (begin % 60); from < strip.states.length; from += 60) {
    const states = [...strip.states.slice(from, from + 60)]
    const good = states.filter(letter => letter === 'o').length
    const time = clockOf(strip, from)
    const cells = states.map((letter, minute) =>
      h('i', { 'data-cell': letter, title: `${clockOf(strip, from + minute)} ${names[letter]}` }),
    )
    const label = { role: 'img', 'aria-label': `${time}: ${good} ${names.o}` }
    rows.push(h('div', { class: 'hour', ...label }, h('span', { class: 'small soft' }, time), cells))
  }
  return h('div', { class: 'grid' }, rows)
}

/** Each stretch that was offline or had bad events, in words, the newest first; of several objectives with their names. */
function incidents(objectives: ObjectiveState[]): HTMLElement {
  const found = objectives.flatMap(objective =>
    runs(objective.strip.states)
      .filter(({ letter }) => (objective.kind === 'minutes' ? 'xup' : 'xp').includes(letter))
      .map(run => ({ ...run, objective })),
  )
  if (found.length === 0) return h('p', { class: 'soft' }, say('noIncidents'))
  found.sort((one, other) => other.from - one.from)
  const items = found.map(({ letter, from, to, objective }) => {
    const { strip, displayName } = objective
    const times = { from: clockOf(strip, from), to: clockOf(strip, to), minutes: to - from }
    const values = { ...times, what: cellWords(objective)[letter] ?? '' }
    const text = say(to === strip.states.length ? 'since' : 'incident', values)
    return h('li', {}, joined(': ', objectives.length > 1 && translated(displayName), text))
  })
  return h('ul', { class: 'incidents' }, items)
}

await showLive({ name: 'status', lead, draw })
document.documentElement.dataset.ready = 'true'
