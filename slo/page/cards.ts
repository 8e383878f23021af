import { h } from '@tintype/lib/page/browser/dom.ts'
import { language } from '@tintype/lib/page/browser/language.ts'
import type { ObjectiveState } from './api.ts'
import { clock, count, words } from './words.ts'

const tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 })

/** How a promise stands in a word of the design system. */
export function stateOf({ budgetLeft, tiers }: ObjectiveState): 'kept' | 'late' | 'broken' {
  if (budgetLeft < 0) return 'broken'
  return tiers.some(({ firing }) => firing) ? 'late' : 'kept'
}

/** A promise: what is left of its budget, until when, and the four tiers against their thresholds. */
export function card(objective: ObjectiveState): HTMLElement {
  const { displayName, description, unit, budget, budgetLeft, goneAt, tiers } = objective
  const left = Math.max(0, budgetLeft)
  const isMinutes = unit === 'minutes'
  return h(
    'article',
    { class: 'sheet card', 'data-state': stateOf(objective) },
    h('h2', { title: description }, displayName),
    h(
      'p',
      { class: 'left' },
      h('strong', {}, count(left)),
      ` ${isMinutes ? words.leftMinutes : words.leftPhotos} `,
      h('span', { class: 'soft' }, words.of(budget)),
    ),
    meter(budget === 0 ? 1 : left / budget, displayName),
    h('p', { class: 'small' }, countsOf(objective)),
    h(
      'p',
      { class: 'small soft' },
      budgetLeft <= 0 && budget > 0 ? words.usedUp : goneAt ? words.gone(clock(goneAt)) : ' ',
    ),
    h('dl', { class: 'tiers small' }, ...tiers.flatMap(tierRow)),
  )
}

function countsOf({ good, bad, unknown, target, unit }: ObjectiveState): string {
  if (good + bad === 0) return words.nothingCounted
  const counted =
    unit === 'minutes' ? words.minutesCounted(good, bad, unknown) : words.photosCounted(good, bad)
  return `${words.ratio(good / (good + bad), target)} · ${counted}`
}

function meter(value: number, label: string): HTMLElement {
  const bar = h(
    'div',
    {
      class: 'meter',
      role: 'meter',
      'aria-label': label,
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'aria-valuenow': Math.round(value * 100),
    },
    h('i'),
  )
  ;(bar.firstElementChild as HTMLElement).style.width = `${Math.min(1, value) * 100}%`
  return bar
}

/** The bar ends at twice the threshold; what counts is the window that burns less, for both must burn. */
function tierRow(tier: ObjectiveState['tiers'][number]): HTMLElement[] {
  const { name, longMinutes, shortMinutes, factor, burnLong, burnShort, firing } = tier
  const burn = Math.min(burnLong, burnShort)
  const bar = h('div', { class: 'burn', 'data-firing': firing }, h('i'))
  ;(bar.firstElementChild as HTMLElement).style.width = `${Math.min(1, burn / (2 * factor)) * 100}%`
  const help = words.burnHelp(name, longMinutes, shortMinutes, tenths.format(factor))
  return [
    h('dt', { title: help }, name),
    h(
      'dd',
      {},
      bar,
      h('span', {}, words.burn(tenths.format(burn), tenths.format(factor))),
      firing ? h('span', { class: 'state', 'data-state': 'late' }, words.fires) : '',
    ),
  ]
}
