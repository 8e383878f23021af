import { h } from '@tintype/lib/page/browser/dom.ts'
import { duration, inLanguage } from '@tintype/lib/page/browser/language.ts'
import { pageAddresses } from '@tintype/lib/page/browser/navigation.ts'
import { serverNow } from '@tintype/lib/page/browser/server.ts'
import { type Photo, serverStages } from './api.ts'
import { recall } from './memory.ts'
import type { Item, Upload } from './photos.ts'
import { problemText, say } from './words.ts'

type Look = {
  /** `broken` only for an accepted photo; a refused upload is `stopped`. */
  state: 'busy' | 'ready' | 'late' | 'stopped' | 'broken'
  text: string
  /** The part that is filled of the ring in place of the picture. */
  share?: number
  mark?: string
}

export const itemName = ({ upload, photo }: Item): string =>
  upload?.name ||
  recall(photo?.id ?? '').name ||
  say('photoOf', { at: new Date(photo?.acceptedAt ?? serverNow()) })

/** The current text and look of a row. */
export const lookOf = (item: Item): Look =>
  item.photo ? lookOfPhoto(item.photo, item.hasNoPicture) : lookOfUpload(item.upload.state)

const stopped = (text: string, state: Look['state'] = 'stopped'): Look => ({ state, text, mark: '✕' })

function lookOfUpload(state: Upload['state']): Look {
  switch (state.is) {
    case 'waiting':
      return { state: 'busy', text: say('waitingToSend'), mark: '↑' }
    case 'sending': {
      const { share } = state
      const text = share < 1 ? say('sending', { percent: Math.floor(share * 100) }) : say('storing')
      return { state: 'busy', text, share, mark: '↑' }
    }
    case 'retrying': {
      const seconds = (state.at - performance.now()) / 1000
      return { state: 'busy', text: say(state.because, { seconds }), mark: '↻' }
    }
    case 'refused':
      return stopped(problemText('problem', state.problem.type, state.problem.detail))
    case 'given-up':
      return stopped(say('givenUp'))
    case 'interrupted':
      return stopped(say('interrupted'))
  }
}

function lookOfPhoto(photo: Photo, hasNoPicture?: true): Look {
  if (photo.state === 'ready') return lookOfReady(photo, hasNoPicture)
  if (photo.state === 'failed') {
    const { code, detail } = photo.reason ?? { code: 'unknown', detail: '' }
    const ours = code !== 'undecodable' && code !== 'over-limit'
    return stopped(problemText('reason', code, detail), ours ? 'broken' : 'stopped')
  }
  const start = Date.parse(photo.acceptedAt)
  const promised = (Date.parse(photo.promiseBy) - start) / 1000
  const seconds = (serverNow() - start) / 1000
  const mark = `${Math.max(0, Math.floor(seconds))}`
  if (seconds > promised || photo.kept === false)
    return { state: 'late', text: say('late', { seconds }), share: 1, mark }
  const text = say(photo.state, { seconds, of: Math.round(promised) })
  return { state: 'busy', text, share: seconds / promised, mark }
}

function lookOfReady({ kept, damaged, stages, seconds }: Photo, hasNoPicture?: true): Look {
  const { wait = 0, convert = 0, store = 0 } = stages
  const late = kept === false
  const text = say(late ? 'readyLate' : 'ready', { seconds: seconds ?? wait + convert + store })
  const all = [text, damaged && say('damaged'), hasNoPicture && say('noPicture')].filter(Boolean).join(' · ')
  return { state: late ? 'late' : 'ready', text: all, ...(hasNoPicture && { mark: '✕' }) }
}

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
