import { h } from '@tintype/lib/page/browser/dom.ts'
import { count, upToTenths } from '@tintype/lib/page/browser/language.ts'
import type { ObjectiveState } from './api.ts'
import { folded, runbookLink } from './parts.ts'
import { joined, moment, percent, say, translated } from './words.ts'

/**
 * The state of an objective as the design system names it. `none`: nothing was counted yet, or no sample came for an hour. An
 * overspent budget stays broken, as in a report.
 */
function cardState(objective: ObjectiveState): 'none' | 'kept' | 'late' | 'broken' {
  const { budgetLeft, tiers, good, bad, silentSince } = objective
  if (budgetLeft < 0) return 'broken'
  if (good + bad === 0 || silentSince) return 'none'
  return tiers.some(({ firing }) => firing) ? 'late' : 'kept'
}

/** An objective: what is left of its budget, until when, and its tiers against their thresholds. */
export function card(objective: ObjectiveState): HTMLElement {
  const { displayName, description, budget, budgetLeft, goneAt, silentSince, tiers, runbook, to } = objective
  const state = cardState(objective)
  const name = translated(displayName)
  const help = [translated(description), ...tiers.map(burnHelp)].map(text => h('p', {}, text))
  const silent = silentSince && say('noDataSince', { time: moment(silentSince, to) })
  const gone =
    budgetLeft <= 0 && budget > 0 ? say('usedUp') : goneAt && say('gone', { time: moment(goneAt, to) })
  return h(
    'article',
    { class: 'sheet card', 'data-state': state },
    h('h2', {}, name),
    h('p', { class: 'left' }, leftOf(objective)),
    meter(budget === 0 ? 1 : Math.max(0, budgetLeft) / budget, name),
    h('p', { class: 'small' }, countsOf(objective)),
    h('p', { class: 'small soft' }, silent || gone || ' '),
    folded(say('burnRates'), help),
    h('dl', { class: 'tiers small' }, tiers.flatMap(tierRow)),
    (state === 'late' || state === 'broken') && h('p', { class: 'small' }, runbookLink(runbook)),
  )
}

/** A budget in events is a share of the events that were counted: of few events none may be bad. */
function leftOf({ kind, unit: written, budget, budgetLeft, good, bad, target }: ObjectiveState) {
  const unit = translated(written)
  const big = (value: number) => h('strong', {}, count(Math.max(0, value)))
  if (kind === 'minutes')
    return [big(budgetLeft), ` ${say('leftMinutes', { n: Math.floor(budgetLeft), budget })}`]
  if (good + bad === 0) return h('span', { class: 'soft' }, say('noEvents', { unit }))
  // Without the subtraction, the rounding error of 1 - 0.9 makes it 11.
  const least = Math.ceil(1 / (1 - target) - 1e-6)
  if (budget < 1) return [big(good + bad), ` ${say('tooFew', { unit, least })}`]
  return [big(budgetLeft), ` ${say('leftEvents', { unit, budget })}`]
}

function countsOf({ good, bad, unknown, target, kind, unit }: ObjectiveState): string {
  if (good + bad === 0) return say('nothingCounted')
  const counts = { good, bad, unit: translated(unit) }
  const counted = say(kind === 'minutes' ? 'minutesCounted' : 'eventsCounted', counts)
  const without = kind === 'minutes' && unknown > 0 && say('withoutData', { n: unknown })
  const ratio = percent(good / (good + bad), target)
  return joined(' · ', say('ratio', { ratio, target: percent(target, target) }), counted, without)
}

function meter(value: number, label: string): HTMLElement {
  const limits = { 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(value * 100) }
  return h('div', { class: 'meter', role: 'meter', 'aria-label': label, ...limits }, filled(value))
}

const filled = (part: number): HTMLElement => h('i', { style: { width: `${Math.min(1, part) * 100}%` } })

type Tier = ObjectiveState['tiers'][number]

const burnHelp = ({ name, longMinutes: long, shortMinutes: short, factor }: Tier): string =>
  say('burnHelp', { name, long, short, factor: upToTenths(factor) })

/** The bar ends at twice the threshold. It shows the window that burns less, because a tier fires only when both burn. */
function tierRow({ name, factor, burnLong, burnShort, firing }: Tier): HTMLElement[] {
  const burn = Math.min(burnLong, burnShort)
  const bar = h('div', { class: 'burn', 'data-firing': firing }, filled(burn / (2 * factor)))
  const text = h('span', {}, say('burn', { burn: upToTenths(burn), factor: upToTenths(factor) }))
  const fires = firing && h('span', { class: 'state', 'data-state': 'late' }, say('fires'))
  return [h('dt', {}, name), h('dd', {}, bar, text, fires)]
}

/** The present minute of the objectives about minutes, the worst one; without any the worst state of the objectives. */
export function presentState(objectives: readonly ObjectiveState[]): { state: string; text: string } {
  const ofMinutes = objectives.filter(({ kind }) => kind === 'minutes')
  const last = ofMinutes.map(({ strip }) => strip.states.at(-1)).join('')
  if (/[^o.]/.test(last)) return { state: 'broken', text: say('offline') }
  if (last.includes('o')) return { state: 'online', text: say('online') }
  const states = last ? [] : (['broken', 'late', 'kept'] as const)
  const worst = states.find(state => objectives.some(each => cardState(each) === state))
  return worst ? { state: worst, text: say(worst) } : { state: 'unknown', text: say('unknown') }
}

/** How many names a sentence holds. */
const maxNames = 3

/** Which objectives are broken and which burn, or that all are met. */
export function summary(objectives: readonly ObjectiveState[]): string {
  const inState = (state: string) => objectives.filter(each => cardState(each) === state)
  const named = (some: readonly ObjectiveState[]) => {
    const all = some.map(each => translated(each.displayName))
    if (all.length <= maxNames + 1) return all.join(', ')
    return say('andMore', { names: all.slice(0, maxNames).join(', '), n: all.length - maxNames })
  }
  const [broken, late] = [inState('broken'), inState('late')]
  const trouble = [
    broken.length > 0 && say('brokenOnes', { names: named(broken) }),
    late.length > 0 && say('burning', { names: named(late) }),
  ]
  if (trouble.some(Boolean)) return joined(' ', ...trouble)
  const [n, all] = [inState('kept').length, objectives.length]
  if (n < all) return say('someMet', { n, all })
  return say(n === 1 ? 'oneMet' : n === 2 ? 'bothMet' : 'allMet', { n })
}
