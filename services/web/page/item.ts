import { serverNow } from '@tintype/lib/page/browser/server.ts'
import type { Photo } from './api.ts'
import { recall } from './memory.ts'
import type { Item, Upload } from './photos.ts'
import { problemText, say } from './words.ts'

type Look = {
  /** `broken` only for an accepted photo; a refused upload is `stopped`. */
  state: 'busy' | 'ready' | 'late' | 'stopped' | 'broken'
  text: string
  /** What stands in place of the picture. */
  ring: 'sending' | 'minute' | 'late' | 'stopped' | 'still'
  /** The part of the ring that is filled. */
  share?: number
  /** What stands in the ring. */
  mark?: string
}

export const itemName = ({ upload, photo }: Item): string =>
  upload?.name ??
  recall(photo?.id ?? '').name ??
  say('photoOf', { at: new Date(photo?.acceptedAt ?? serverNow()) })

/** The current text and look of a row. */
export const lookOf = (item: Item): Look =>
  item.photo ? lookOfPhoto(item.photo) : lookOfUpload(item.upload.state)

const stopped = (text: string, state: 'stopped' | 'broken' = 'stopped'): Look => ({
  state,
  text,
  ring: 'stopped',
  mark: '✕',
})

function lookOfUpload(state: Upload['state']): Look {
  switch (state.is) {
    case 'waiting':
      return { state: 'busy', text: say('waitingToSend'), ring: 'sending', mark: '↑' }
    case 'sending': {
      const { share } = state
      const text = share < 1 ? say('sending', { percent: Math.floor(share * 100) }) : say('storing')
      return { state: 'busy', text, ring: 'sending', share, mark: '↑' }
    }
    case 'retrying': {
      const seconds = (state.at - performance.now()) / 1000
      return { state: 'busy', text: say(state.because, { seconds }), ring: 'still', mark: '↻' }
    }
    case 'refused':
      return stopped(problemText('problem', state.problem.type, state.problem.detail))
    case 'given-up':
      return stopped(say('givenUp'))
    case 'interrupted':
      return stopped(say('interrupted'))
  }
}

function lookOfPhoto(photo: Photo): Look {
  if (photo.state === 'ready') return lookOfReady(photo)
  if (photo.state === 'failed') {
    const { code, detail } = photo.reason ?? { code: 'unknown', detail: '' }
    const ours = code !== 'undecodable' && code !== 'over-limit'
    return stopped(problemText('reason', code, detail), ours ? 'broken' : 'stopped')
  }
  const start = Date.parse(photo.acceptedAt)
  const of = Math.round((Date.parse(photo.promiseBy) - start) / 1000)
  const seconds = (serverNow() - start) / 1000
  const mark = `${Math.max(0, Math.floor(seconds))}`
  if (seconds > of || photo.kept === false)
    return { state: 'late', text: say('late', { seconds }), ring: 'late', share: 1, mark }
  return { state: 'busy', text: say(photo.state, { seconds, of }), ring: 'minute', share: seconds / of, mark }
}

function lookOfReady({ kept, damaged, stages: { wait, convert, store } }: Photo): Look {
  const known = wait !== undefined && convert !== undefined && store !== undefined
  // The time that the promise counts: from the last byte received to the durable thumbnail.
  const time = known ? { seconds: wait + convert + store } : undefined
  const late = time !== undefined && kept === false
  const text = time ? say(late ? 'readyLate' : 'ready', time) : say('readyUnknown')
  return {
    state: late ? 'late' : 'ready',
    text: damaged ? `${text} · ${say('damaged')}` : text,
    ring: 'still',
  }
}
