import { choices } from '@tintype/lib/page/browser/choices.ts'
import { find, h } from '@tintype/lib/page/browser/dom.ts'
import { translate } from '@tintype/lib/page/browser/language.ts'
import { get, type ObjectiveState, type State } from './api.ts'
import { cellWords, clockOf, runs } from './parts.ts'
import { legend } from './strip.ts'
import { clock, words } from './words.ts'

const refreshMs = 15_000
const staleMs = 180_000
const hoursShown = 24

function draw({ objectives, at, seenAt }: State): void {
  const minutes = objectives.find(({ unit }) => unit === 'minutes')
  const photos = objectives.find(({ unit }) => unit === 'photos')
  const stale = Date.parse(at) - Date.parse(seenAt) > staleMs
  find('#notice').hidden = !stale
  find('#notice').textContent = stale ? words.stale(clock(seenAt)) : ''
  const online = minutes?.strip.states.at(-1) === 'o'
  find('#state').dataset.state = stale || !minutes ? 'unknown' : online ? 'online' : 'broken'
  find('#state').textContent = stale || !minutes ? words.unknown : online ? words.online : words.offline
  if (!minutes) {
    find('#lead').textContent = words.waiting
    return
  }
  find('#lead').textContent = words.leadStatus(online, minutes.bad, minutes.budget) + aboutPhotos(photos)
  find('#hours').replaceChildren(hours(minutes))
  find('#legend').replaceChildren(legend([minutes]))
  find('#incidents').replaceChildren(incidents(minutes))
}

function aboutPhotos(photos: ObjectiveState | undefined): string {
  const all = photos ? photos.good + photos.bad : 0
  return photos && all > 0 ? words.leadPhotos(photos.good / all, all) : words.leadNoPhotos
}

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
    draw(await get<State>('/api/state'))
  } catch {
    find('#notice').hidden = false
    find('#notice').textContent = words.away
    find('#state').dataset.state = 'unknown'
    find('#state').textContent = words.unknown
  }
}

translate(words)
find('#choices').append(choices())
await refresh()
document.documentElement.dataset.ready = 'true'
setInterval(() => void refresh(), refreshMs)
