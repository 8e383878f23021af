import { h } from '@tintype/lib/page/browser/dom.ts'
import { language } from '@tintype/lib/page/browser/language.ts'
import type { ObjectiveState } from './api.ts'
import { clock, count } from './format.ts'
import { say, words } from './words.ts'

const tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 })

/** How a promise stands in a word of the design system; `none`: nothing was counted yet. */
export function stateOf({
  budgetLeft,
  tiers,
  good,
  bad,
}: ObjectiveState): 'none' | 'kept' | 'late' | 'broken' {
  if (good + bad === 0) return 'none'
  if (budgetLeft < 0) return 'broken'
  return tiers.some(({ firing }) => firing) ? 'late' : 'kept'
}

/** A promise: what is left of its budget, until when, and the four tiers against their thresholds. */
export function card(objective: ObjectiveState): HTMLElement {
  const { displayName, description, budget, budgetLeft, goneAt, tiers } = objective
  const left = Math.max(0, budgetLeft)
  const name = say(displayName)
  return h(
    'article',
    { class: 'sheet card', 'data-state': stateOf(objective) },
    h('h2', { title: description }, name),
    leftOf(objective),
    meter(budget === 0 ? 1 : left / budget, name),
    h('p', { class: 'small' }, countsOf(objective)),
    h(
      'p',
      { class: 'small soft' },
      budgetLeft <= 0 && budget > 0 ? words.usedUp : goneAt ? words.gone(clock(goneAt)) : ' ',
    ),
    h('dl', { class: 'tiers small' }, ...tiers.flatMap(tierRow)),
  )
}

/** A budget in events is a share of those that were counted: there is none before the first. */
function leftOf({ kind, unit, budget, budgetLeft, good, bad }: ObjectiveState): HTMLElement {
  if (kind === 'events' && good + bad === 0) return h('p', { class: 'left' }, h('strong', {}, '–'))
  return h(
    'p',
    { class: 'left' },
    h('strong', {}, count(Math.max(0, budgetLeft))),
    ` ${kind === 'minutes' ? words.leftMinutes : words.leftEvents(say(unit))} `,
    h('span', { class: 'soft' }, words.of(budget)),
  )
}

export function countsOf({ good, bad, unknown, target, kind, unit }: ObjectiveState): string {
  if (good + bad === 0) return words.nothingCounted
  const counted =
    kind === 'minutes' ? words.minutesCounted(good, bad, unknown) : words.eventsCounted(good, bad, say(unit))
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

/** After the first whole minute and the evaluation that follows it. */
export const firstNumbers = (at: string): number => (Math.floor(Date.parse(at) / 60_000) + 2) * 60_000

/** Of the present minute, when one of the promises is about minutes; else how the promises stand. */
export function presentState(objectives: readonly ObjectiveState[]): { state: string; text: string } {
  const last = objectives.find(({ kind }) => kind === 'minutes')?.strip.states.at(-1)
  if (last === 'o') return { state: 'online', text: words.online }
  if (last)
    return last === '.' ? { state: 'unknown', text: words.unknown } : { state: 'broken', text: words.offline }
  const worst = (['broken', 'late', 'kept'] as const).find(state =>
    objectives.some(each => stateOf(each) === state),
  )
  return worst ? { state: worst, text: words.states[worst] } : { state: 'unknown', text: words.unknown }
}

/** So many names fit a sentence. */
const maxNames = 3

/** Which promises are broken and which burn, or that all are kept. */
export function summary(objectives: readonly ObjectiveState[]): string {
  const named = (wanted: string) => {
    const names = objectives.filter(each => stateOf(each) === wanted).map(each => say(each.displayName))
    return names.length > maxNames + 1
      ? words.andMore(names.slice(0, maxNames).join(', '), names.length - maxNames)
      : names.join(', ')
  }
  const [broken, burning] = [named('broken'), named('late')]
  if (!broken && !burning) return words.allKept(objectives.length)
  return [broken && words.broken(broken), burning && words.burning(burning)].filter(Boolean).join(' ')
}
