import { type Photo, serverNow } from './api.ts'
import { recall } from './memory.ts'
import type { Upload } from './uploads.ts'
import { problemText, say, words } from './words.ts'

/** One row of the list: an upload, its photo, or a photo from the server. */
export type Item = { upload?: Upload | undefined; photo?: Photo | undefined }

type Look = {
  /** `broken` only for an accepted photo; a refused upload is `stopped`. */
  state: 'busy' | 'ready' | 'late' | 'stopped' | 'broken'
  text: string
  ring: { kind: 'sending' | 'minute' | 'late' | 'stopped' | 'still'; share: number; text: string }
}

export const finished = (photo: Photo): boolean => photo.state === 'ready' || photo.state === 'failed'
export const underWay = ({ photo }: Item): boolean => photo !== undefined && !finished(photo)

export function itemName({ upload, photo }: Item): string {
  return (
    upload?.name ??
    recall(photo?.id ?? '').name ??
    say('photoOf', { at: new Date(photo?.acceptedAt ?? Date.now()) })
  )
}

/** The current text and look of a row. */
export function lookOf({ upload, photo }: Item): Look {
  if (photo) return lookOfPhoto(photo)
  if (upload) return lookOfUpload(upload)
  throw new Error('an item is an upload or a photo')
}

const stopped = (text: string, state: 'stopped' | 'broken' = 'stopped'): Look => ({
  state,
  text,
  ring: { kind: 'stopped', share: 0, text: '✕' },
})
const busy = (text: string, share = 0): Look => ({
  state: 'busy',
  text,
  ring: { kind: 'sending', share, text: '↑' },
})

function lookOfUpload({ state }: Upload): Look {
  switch (state.is) {
    case 'waiting':
      return busy(words.waitingToSend)
    case 'sending':
      return busy(
        state.share < 1 ? say('sending', { percent: Math.floor(state.share * 100) }) : words.storing,
        state.share,
      )
    case 'retrying': {
      const seconds = (state.at - performance.now()) / 1000
      return { ...busy(say(state.because, { seconds })), ring: { kind: 'still', share: 0, text: '↻' } }
    }
    case 'refused':
      return stopped(problemText('problem', state.problem.type, state.problem.detail))
    case 'given-up':
      return stopped(words.givenUp)
    case 'interrupted':
      return stopped(words.interrupted)
  }
}

function lookOfPhoto(photo: Photo): Look {
  const start = Date.parse(photo.acceptedAt)
  const promised = Math.round((Date.parse(photo.promiseBy) - start) / 1000)
  if (photo.state === 'failed') {
    const reason = photo.reason ?? { code: 'unknown', detail: '' }
    const ours = reason.code !== 'undecodable' && reason.code !== 'over-limit'
    return stopped(problemText('reason', reason.code, reason.detail), ours ? 'broken' : 'stopped')
  }
  if (photo.state === 'ready') return lookOfReady(photo)
  const seconds = (serverNow() - start) / 1000
  const number = `${Math.max(0, Math.floor(seconds))}`
  if (seconds > promised || photo.kept === false)
    return { state: 'late', text: say('late', { seconds }), ring: { kind: 'late', share: 1, text: number } }
  return {
    state: 'busy',
    text: say(photo.state, { seconds, of: promised }),
    ring: { kind: 'minute', share: seconds / promised, text: number },
  }
}

function lookOfReady(photo: Photo): Look {
  const ring = { kind: 'still', share: 0, text: '' } as const
  const seconds = promiseSeconds(photo)
  const look = (state: 'ready' | 'late', text: string): Look => ({
    state,
    text: photo.damaged ? `${text} · ${words.damaged}` : text,
    ring,
  })
  if (seconds === undefined) return look('ready', words.readyUnknown)
  return photo.kept === false
    ? look('late', say('readyLate', { seconds }))
    : look('ready', say('ready', { seconds }))
}

/** The time that the promise counts: from the last byte received to the durable thumbnail. */
function promiseSeconds({ stages: { wait, convert, store } }: Photo): number | undefined {
  return wait === undefined || convert === undefined || store === undefined
    ? undefined
    : wait + convert + store
}
