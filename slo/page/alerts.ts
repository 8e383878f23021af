import { h } from '@tintype/lib/page/browser/dom.ts'
import type { Timeline } from '../math/backtest.ts'
import type { ObjectiveState } from './api.ts'
import { addressAt, type Bar, chart, table } from './parts.ts'
import { joined, moment, percent, say, translated } from './words.ts'

/** A bar of an alert, wide enough to be seen on an axis of this length. */
function firing(length: number, from: number, to: number, title: string): Bar {
  return { from: Math.max(0, Math.min(from, to - length / 300)), to, title, class: 'firing' }
}

/** The alerts of an objective below its strip, on the strip's axis from a minute on. */
export function alertStrip(objective: ObjectiveState, from: number): SVGElement {
  const { alerts, strip, displayName, to } = objective
  const length = strip.states.length - from
  const minute = (time: string) => (Date.parse(time) - Date.parse(strip.from)) / 60_000 - from
  const bars = alerts.map(({ tier, fires, clears }) => {
    const title = `${tier}: ${moment(fires, to)}–${clears ? moment(clears, to) : say('still')}`
    return firing(length, minute(fires), clears ? minute(clears) : length, title)
  })
  const shown = bars.filter(bar => bar.to > 0)
  const label = joined(', ', translated(displayName), say('alerts'), ...shown.map(({ title }) => title))
  return chart(label, length, shown, { class: 'alert-strip' })
}

/** The alerts with the budget that was gone when each fired, and links to the page as it was then. */
export function alertTable(objectives: ObjectiveState[]): HTMLElement {
  const now = objectives[0]?.to ?? ''
  const rows = objectives.flatMap(({ displayName, alerts }) =>
    alerts.map(({ tier, fires, clears, budgetUsedAtFire }) => [
      translated(displayName),
      tier,
      h('a', { href: addressAt(fires) }, moment(fires, now)),
      clears ? moment(clears, now) : say('still'),
      percent(budgetUsedAtFire),
    ]),
  )
  if (rows.length === 0) return h('p', { class: 'soft' }, say('noAlerts'))
  return table(say('alerts'), say('alertColumns'), rows)
}

/** When each alert fires and clears in a described outage; the alerts that do not fire are only named. */
export function whatIfLanes(minutes: number, alerts: Timeline[]): HTMLElement {
  const ends = alerts.flatMap(({ firings }) => firings.map(({ clears }) => clears ?? 0))
  const last = Math.max(1, minutes, ...ends)
  const nameOf = ({ objective, tier }: Timeline) => `${objective} ${tier}`
  const outage = { from: 0, to: minutes, class: 'mark', title: say('whatIfOutage', { n: minutes }) }
  const lanes = alerts.map(alert => {
    const [first, ended] = [alert.firings[0], alert.firings.at(-1)?.clears]
    if (!first) return false
    const after = say('whatIfAfter', { n: first.fires })
    const gone = say('whatIfGone', { share: percent(alert.budgetUsedAtFire ?? 0) })
    const text = joined(' · ', after, ended && say('whatIfClears', { n: ended }), gone)
    const bars = alert.firings.map(({ fires, clears }) =>
      firing(last, fires, clears ?? last, say('whatIfAfter', { n: fires })),
    )
    const drawn = chart(`${nameOf(alert)}: ${text}`, last, [outage, ...bars])
    return [h('span', {}, nameOf(alert)), drawn, h('span', { class: 'soft' }, text)]
  })
  const silent = alerts.filter(({ firings }) => firings.length === 0).map(nameOf)
  const never = silent.length > 0 && say('whatIfNever', { names: silent.join(', ') })
  return h('div', {}, h('div', { class: 'lanes small' }, lanes), h('p', { class: 'small soft' }, never))
}
