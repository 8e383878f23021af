import { h } from '@tintype/lib/page/browser/dom.ts'
import { duration, inLanguage } from '@tintype/lib/page/browser/language.ts'
import { pageAddresses } from '@tintype/lib/page/browser/navigation.ts'
import { type Photo, serverStages } from './api.ts'
import { recall } from './memory.ts'
import { say } from './words.ts'

/** A photo's time by stage: a sentence, a bar of five stages, and the ids to quote when asking for help. */
export function journey(photo: Photo): Node[] {
  const { name, deliver, experience, traceId } = recall(photo.id)
  const seconds = { ...photo.stages, deliver }
  const stages = [...serverStages, 'deliver'] as const
  const secondsOf = (stage: (typeof stages)[number]) => seconds[stage] ?? 0
  const total = stages.reduce((sum, stage) => sum + secondsOf(stage), 0)
  const longest = stages.reduce((one, other) => (secondsOf(other) > secondsOf(one) ? other : one))
  const lead = say('lead', { seconds: total, stage: say(`most ${longest}`) })
  // In milliseconds: flex factors that sum to less than 1 leave the bar unfilled.
  const segments = stages.map(stage => {
    const style = { 'flex-grow': `${1000 * secondsOf(stage)}` }
    return h('span', { class: 'segment', 'data-stage': stage, style })
  })
  const times = stages.map(stage => {
    const time = seconds[stage]
    const name = h('dt', {}, h('i', { class: 'swatch', 'data-stage': stage }), say(stage))
    return h('div', {}, name, h('dd', {}, time === undefined ? say('notSeen') : duration(time)))
  })
  const ids = [`${say('photo')} `, h('code', {}, photo.id)]
  if (traceId) ids.push(` · ${say('trace')} `, h('code', {}, traceId))
  const query = name ? `?${new URLSearchParams({ name })}` : ''
  const original = { href: `photos/${photo.id}/original${query}`, download: '' }
  const links = h('p', { class: 'small' }, h('a', original, say('original')))
  const story = h(
    'div',
    { class: 'story' },
    h('p', {}, experience === undefined ? lead : `${lead} ${say('experience', { seconds: experience })}`),
    // Hidden from screen readers: the list below has the same values.
    h('div', { class: 'bar', 'aria-hidden': 'true' }, segments),
    h('dl', { class: 'stages' }, times),
    h('p', { class: 'soft small marks' }, ids),
    links,
  )
  // If the log server's page can be reached.
  void pageAddresses.then(({ logs }) => {
    if (logs) links.append(' · ', h('a', { href: inLanguage(`${logs}?key=${photo.id}`) }, say('story')))
  })
  return [h('img', { src: `photos/${photo.id}/thumbnail`, alt: '' }), story]
}
