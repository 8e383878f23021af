import { h, svg } from '@tintype/lib/page/browser/dom.ts'
import type { ObjectiveState, WhatIfAlert } from './api.ts'
import { clock, percent } from './format.ts'
import { asTable } from './parts.ts'
import { say, words } from './words.ts'

type Lane = { name: string; bars: { from: number; to: number; title: string }[]; said: string }

/** Lanes of bars on one axis from 0 to `length`; `mark` is a stretch to compare with, such as the outage. */
function lanes(all: Lane[], length: number, mark?: { to: number; title: string }): HTMLElement {
  const bar = (from: number, to: number, name: string, title: string) =>
    svg(
      'rect',
      { class: name, x: from, y: 0, width: Math.max(length / 300, to - from), height: 10 },
      svg('title', {}, title),
    )
  return h(
    'div',
    { class: 'lanes small' },
    ...all.flatMap(({ name, bars, said }) => [
      h('span', {}, name),
      svg(
        'svg',
        {
          viewBox: `0 0 ${length} 10`,
          preserveAspectRatio: 'none',
          role: 'img',
          'aria-label': `${name}: ${said}`,
        },
        ...(mark ? [bar(0, mark.to, 'mark', mark.title)] : []),
        ...bars.map(({ from, to, title }) => bar(from, to, 'firing', title)),
      ),
      h('span', { class: 'soft' }, said),
    ]),
  )
}

/** Every alert of the last day on one axis, and as a table with the budget that was gone when it fired. */
export function alertHistory(objectives: ObjectiveState[]): HTMLElement {
  const fired = objectives.flatMap(objective => objective.alerts.map(alert => ({ objective, ...alert })))
  if (fired.length === 0) return h('p', { class: 'soft' }, words.noAlerts)
  const end = Date.parse(objectives[0]?.to ?? '')
  const begin = end - 86_400_000
  const minute = (time: string | null) =>
    Math.max(0, ((time === null ? end : Date.parse(time)) - begin) / 60_000)
  const recent = fired.filter(({ clears }) => minute(clears) > 0)
  const names = [...new Set(recent.map(({ objective, tier }) => `${objective.name} ${tier}`))]
  const byName = names.map(name => {
    const own = recent.filter(({ objective, tier }) => `${objective.name} ${tier}` === name)
    const title = (each: (typeof own)[number]) =>
      `${clock(each.fires)}–${each.clears ? clock(each.clears) : words.still}`
    return {
      name,
      bars: own.map(each => ({ from: minute(each.fires), to: minute(each.clears), title: title(each) })),
      said: own.some(({ clears }) => clears === null) ? words.still : `${own.length} ×`,
    }
  })
  return h(
    'div',
    {},
    lanes(byName, 1440),
    asTable(
      words.alertColumns,
      fired.map(each => [
        say(each.objective.displayName),
        each.tier,
        clock(each.fires),
        each.clears ? clock(each.clears) : words.still,
        percent(each.budgetUsedAtFire),
      ]),
    ),
  )
}

/** When each alert would fire and clear in a described outage; those that would not are only named. */
export function whatIfLanes(minutes: number, alerts: WhatIfAlert[]): HTMLElement {
  const last = Math.max(minutes, ...alerts.flatMap(({ firings }) => firings.map(({ clears }) => clears ?? 0)))
  const nameOf = ({ objective, tier }: WhatIfAlert) => `${objective} ${tier}`
  const fired = alerts.flatMap(alert => {
    const { firings, budgetUsedAtFire } = alert
    const [first] = firings
    if (!first) return []
    const ended = firings.at(-1)?.clears
    const bars = firings.map(({ fires, clears }) => ({
      from: fires,
      to: clears ?? last,
      title: words.whatIfAfter(fires),
    }))
    const said = [
      words.whatIfAfter(first.fires),
      ...(ended ? [words.whatIfClears(ended)] : []),
      words.whatIfGone(budgetUsedAtFire ?? 0),
    ].join(' · ')
    return [{ name: nameOf(alert), bars, said }]
  })
  const silent = alerts.filter(({ firings }) => firings.length === 0).map(nameOf)
  return h(
    'div',
    {},
    lanes(fired, Math.max(1, last), { to: minutes, title: words.whatIfOutage(minutes) }),
    silent.length === 0
      ? ''
      : h(
          'details',
          { class: 'small' },
          h('summary', {}, words.whatIfNever(silent.length)),
          h('p', { class: 'soft' }, silent.join(', ')),
        ),
  )
}
