import { type Content, h } from '@tintype/lib/page/browser/dom.ts'
import type { ObjectiveState, WhatIfAlert } from './api.ts'
import { joined, moment, percent } from './format.ts'
import { addressAt, asTable, type Bar, chart, firstMeasured } from './parts.ts'
import { say, translated } from './words.ts'

type Lane = { name: string; bars: Omit<Bar, 'class'>[]; text: Content }

/** Lanes of bars on one axis from 0 to `length`. `mark` is a stretch to compare with, such as the outage. */
function lanes(all: readonly Lane[], length: number, mark?: Bar): HTMLElement {
  const widen = (bar: Bar) => ({ ...bar, from: Math.max(0, Math.min(bar.from, bar.to - length / 300)) })
  const rows = all.map(({ name, bars, text }) => {
    const firing = bars.map(bar => widen({ ...bar, class: 'firing' }))
    const label = [name, ...bars.map(({ title }) => title)].join(', ')
    const drawn = chart(label, length, mark ? [mark, ...firing] : firing)
    return [h('span', {}, name), drawn, h('span', { class: 'soft' }, text)]
  })
  return h('div', { class: 'lanes small' }, rows)
}

const minutesADay = 1440
/** So many alerts of a lane are named with their times: the last ones. */
const maxTimes = 3

/** The alerts of the measured day on one axis, and as a table with the budget that was gone when each fired. */
export function alertHistory(objectives: ObjectiveState[]): HTMLElement {
  const fired = objectives.flatMap(({ name, displayName, alerts }) =>
    alerts.map(alert => ({ ...alert, displayName, lane: `${name} ${alert.tier}` })),
  )
  if (fired.length === 0) return h('p', { class: 'soft' }, say('noAlerts'))
  const length = minutesADay - firstMeasured(objectives)
  const now = objectives[0]?.to ?? ''
  const end = Date.parse(now) / 60_000
  /** The time at which an alert fired, as a link to the page as it was then. */
  const began = (fires: string) => h('a', { href: addressAt(fires) }, moment(fires, now))
  const minute = (time: string | null) =>
    time === null ? length : Math.max(0, Date.parse(time) / 60_000 - end + length)
  const ended = (clears: string | null) => (clears ? moment(clears, now) : say('still'))
  const recent = fired.filter(({ clears }) => minute(clears) > 0)
  const byLane = [...Map.groupBy(recent, ({ lane }) => lane)].map(([name, own]) => {
    const bars = own.map(({ fires, clears }) => ({
      from: minute(fires),
      to: minute(clears),
      title: `${moment(fires, now)}–${ended(clears)}`,
    }))
    const last = own.slice(-maxTimes)
    return { name, bars, text: last.map(({ fires, clears }) => [began(fires), ' ', !clears && ended(null)]) }
  })
  const rows = fired.map(({ displayName, tier, fires, clears, budgetUsedAtFire }) => [
    translated(displayName),
    tier,
    began(fires),
    ended(clears),
    percent(budgetUsedAtFire),
  ])
  return h('div', {}, lanes(byLane, length), asTable(say('alertColumns'), rows))
}

/** When each alert fires and clears in a described outage; the alerts that do not fire are only named. */
export function whatIfLanes(minutes: number, alerts: WhatIfAlert[]): HTMLElement {
  const ends = alerts.flatMap(({ firings }) => firings.map(({ clears }) => clears ?? 0))
  const last = Math.max(1, minutes, ...ends)
  const nameOf = ({ objective, tier }: WhatIfAlert) => `${objective} ${tier}`
  const fired = alerts.flatMap(alert => {
    const [first, ended] = [alert.firings[0], alert.firings.at(-1)?.clears]
    if (!first) return []
    const bars = alert.firings.map(({ fires, clears }) => ({
      from: fires,
      to: clears ?? last,
      title: say('whatIfAfter', { n: fires }),
    }))
    const text = joined(
      ' · ',
      say('whatIfAfter', { n: first.fires }),
      ended && say('whatIfClears', { n: ended }),
      say('whatIfGone', { share: percent(alert.budgetUsedAtFire ?? 0) }),
    )
    return [{ name: nameOf(alert), bars, text }]
  })
  const silent = alerts.filter(({ firings }) => firings.length === 0).map(nameOf)
  const outage = { from: 0, to: minutes, class: 'mark', title: say('whatIfOutage', { n: minutes }) }
  const never = silent.length > 0 && say('whatIfNever', { names: silent.join(', ') })
  return h('div', {}, lanes(fired, last, outage), h('p', { class: 'small soft' }, never))
}
