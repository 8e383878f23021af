import { h } from '@tintype/lib/page/browser/dom.ts'
import { duration, inLanguage } from '@tintype/lib/page/browser/language.ts'
import { pageAddresses } from '@tintype/lib/page/browser/navigation.ts'
import { type Photo, serverStages } from './api.ts'
import { recall } from './memory.ts'
import { say } from './words.ts'

type StageTime = { stage: (typeof serverStages)[number] | 'deliver'; seconds: number | undefined }

/** A photo's time by stage: a sentence, a bar of five stages, and the ids to quote when asking for help. */
export function journey(photo: Photo): Node[] {
  const { deliver, experience, traceId } = recall(photo.id)
  const stages: StageTime[] = [
    ...serverStages.map(stage => ({ stage, seconds: photo.stages[stage] })),
    { stage: 'deliver', seconds: deliver },
  ]
  const total = stages.reduce((sum, { seconds = 0 }) => sum + seconds, 0)
  const longest = stages.reduce((one, other) => ((other.seconds ?? 0) > (one.seconds ?? 0) ? other : one))
  const lead = say('lead', { seconds: total, stage: say(`most ${longest.stage}`) })
  const original = { href: `photos/${photo.id}/original`, target: '_blank', rel: 'noopener' }
  const links = h('p', { class: 'small' }, h('a', original, say('original')))
  const story = h(
    'div',
    { class: 'story' },
    h('p', {}, experience === undefined ? lead : `${lead} ${say('experience', { seconds: experience })}`),
    // Hidden from screen readers: the list below has the same values.
    h('div', { class: 'bar', 'aria-hidden': 'true' }, ...stages.map(segment)),
    h('dl', { class: 'stages' }, ...stages.map(row)),
    h(
      'p',
      { class: 'soft small marks' },
      [`${say('photo')} `, h('code', {}, photo.id)],
      traceId && [` · ${say('trace')} `, h('code', {}, traceId)],
    ),
    links,
  )
  // If the log server's page can be reached.
  void pageAddresses.then(({ logs }) => {
    if (logs) links.append(' · ', h('a', { href: inLanguage(`${logs}?key=${photo.id}`) }, say('story')))
  })
  return [h('img', { src: `photos/${photo.id}/thumbnail`, alt: '' }), story]
}

/** In milliseconds: flex factors that sum to less than 1 leave the bar unfilled. */
const segment = ({ stage, seconds = 0 }: StageTime): HTMLElement =>
  h('span', { class: 'segment', 'data-stage': stage, style: { 'flex-grow': `${1000 * seconds}` } })

function row({ stage, seconds }: StageTime): HTMLElement {
  const text = seconds === undefined ? say('notSeen') : duration(seconds)
  return h(
    'div',
    {},
    h('dt', {}, h('i', { class: 'swatch', 'data-stage': stage }), say(stage)),
    h('dd', {}, text),
  )
}
