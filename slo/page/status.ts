import { choices } from '@tintype/lib/page/browser/choices.ts'
import { find, h } from '@tintype/lib/page/browser/dom.ts'
import { translate } from '@tintype/lib/page/browser/language.ts'
import { showNavigation } from '@tintype/lib/page/browser/navigation.ts'
import { get, type ObjectiveState, type State } from './api.ts'
import { countsOf, firstNumbers, presentState, stateOf, summary } from './cards.ts'
import { clock, percent } from './format.ts'
import { cellWords, clockOf, runs, table } from './parts.ts'
import { legend } from './strip.ts'
import { learn, say, words } from './words.ts'

const refreshMs = 15_000
const staleMs = 180_000
const hoursShown = 24
/** Beside the one about minutes; of more only a summary, and each stands in the table. */
const maxInLead = 2

function draw(state: State): void {
  const { objectives, at, seenAt, begun } = state
  learn(state)
  const stale = Date.parse(at) - Date.parse(seenAt) > staleMs
  find('#notice').hidden = !stale
  find('#notice').textContent = stale ? words.stale(clock(seenAt)) : ''
  const now = presentState(objectives)
  find('#state').dataset.state = stale || !begun ? 'unknown' : now.state
  find('#state').textContent = stale || !begun ? words.unknown : now.text
  find('#lead').textContent = begun ? lead(objectives) : words.waiting(clock(firstNumbers(at)))
  const shown = objectives.find(({ kind }) => kind === 'minutes') ?? objectives[0]
  if (!shown) return
  find('#hours').replaceChildren(h('h2', {}, say(shown.displayName)), hours(shown))
  find('#legend').replaceChildren(legend([shown]))
  find('#incidents').replaceChildren(incidents(shown))
  find('#promises').replaceChildren(standings(objectives))
}

/** Online or not, what is lost of the budget, and each promise about events; of many promises a summary. */
function lead(objectives: ObjectiveState[]): string {
  if (objectives.length > maxInLead + 1) return summary(objectives)
  const minutes = objectives.find(({ kind }) => kind === 'minutes')
  const online = minutes?.strip.states.at(-1) === 'o'
  const parts = [
    ...(minutes ? [words.leadStatus(online, minutes.bad, minutes.budget, minutes.windowMinutes)] : []),
    ...objectives
      .filter(({ kind }) => kind === 'events')
      .map(({ displayName, good, bad, unit }) =>
        good + bad === 0
          ? words.leadNoEvents(say(displayName))
          : words.leadEvents(say(displayName), good / (good + bad), good + bad, say(unit)),
      ),
  ]
  return `${parts.join('; ')}.`
}

/** Every promise in a row. */
const standings = (objectives: ObjectiveState[]): HTMLElement =>
  table(
    words.stateColumns,
    objectives.map(objective => {
      const { displayName, budget, budgetLeft } = objective
      return [
        say(displayName),
        words.states[stateOf(objective)],
        countsOf(objective),
        budget === 0 ? '' : percent(Math.max(0, budgetLeft / budget)),
      ]
    }),
  )

/** The last day as 24 rows of 60 minutes, the newest hour below. */
function hours(objective: ObjectiveState): HTMLElement {
  const names = cellWords(objective)
  const rows = Array.from({ length: hoursShown }, (_, hour) => {
    const states = objective.strip.states.slice(hour * 60, hour * 60 + 60)
    const good = [...states].filter(letter => letter === 'o').length
    const label = `${clockOf(objective.strip, hour * 60)}: ${good} ${names.o}`
    return h(
      'div',
      { class: 'hour', role: 'img', 'aria-label': label },
      h('span', { class: 'small soft' }, clockOf(objective.strip, hour * 60)),
      ...[...states].map((letter, minute) =>
        h('i', {
          'data-cell': letter,
          title: `${clockOf(objective.strip, hour * 60 + minute)} ${names[letter]}`,
        }),
      ),
    )
  })
  return h('div', { class: 'grid' }, ...rows)
}

/** Every stretch that was not online, in words, the newest first. */
function incidents(objective: ObjectiveState): HTMLElement {
  const { strip } = objective
  const names = cellWords(objective)
  const found = runs(strip.states).filter(({ letter }) => 'xup'.includes(letter))
  if (found.length === 0) return h('p', { class: 'soft' }, words.noIncidents)
  const say = ({ letter, from, to }: (typeof found)[number]) =>
    to === strip.states.length
      ? words.since(clockOf(strip, from), to - from, names[letter] ?? '')
      : words.incident(clockOf(strip, from), clockOf(strip, to), to - from, names[letter] ?? '')
  return h('ul', { class: 'incidents' }, ...found.toReversed().map(run => h('li', {}, say(run))))
}

async function refresh(): Promise<void> {
  try {
    draw(await get<State>('api/state'))
  } catch {
    find('#notice').hidden = false
    find('#notice').textContent = words.away
    find('#state').dataset.state = 'unknown'
    find('#state').textContent = words.unknown
  }
}

translate(words)
find('#choices').append(choices())
void showNavigation('status')
await refresh()
document.documentElement.dataset.ready = 'true'
setInterval(() => void refresh(), refreshMs)
