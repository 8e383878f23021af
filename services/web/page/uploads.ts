import { request } from '@tintype/lib/page/browser/server.ts'
import { fetchPhotos, sendPhoto } from './api.ts'
import type { Unsent } from './memory.ts'
import { accept, changed, type Item, type Upload } from './photos.ts'

/** Concurrent uploads. Two tabs share the six connections that a browser opens, and need some for events and pictures. */
const sendingAtOnce = 2
/** About ten minutes with the pauses below. Then an upload without an answer is given up, if other requests get answers. */
const maxTries = 25
const longestPauseSeconds = 30

const hex = (bytes: number): string =>
  [...crypto.getRandomValues(new Uint8Array(bytes))].map(byte => byte.toString(16).padStart(2, '0')).join('')

/**
 * A new upload of a file, or an interrupted one without its file. Uploads with one key become one photo.
 * The key is not a crypto.randomUUID: that exists on https and localhost only.
 */
export const newUpload = (of: File | Unsent, key = hex(16)): Upload => ({
  key,
  name: of.name,
  size: of.size,
  file: of instanceof File ? of : undefined,
  traceId: hex(16),
  tries: 0,
  chosenAt: performance.now(),
  state: { is: of instanceof File ? 'waiting' : 'interrupted' },
  cancel: new AbortController(),
})

type Sent = Item & { upload: Upload }
const waiting: Sent[] = []
let sending = 0
/** A request before the first uploads: without cookies two uploads at once would begin two sessions, and one would be lost. */
let session: Promise<unknown>

/** Sends an upload, a few at once, and again after "busy" and lost connections. */
export function send(item: Sent): void {
  Object.assign(item.upload, { tries: 0, state: { is: 'waiting' } })
  changed(item)
  waiting.push(item)
  void next()
}

async function next(): Promise<void> {
  const item = sending < sendingAtOnce && waiting.shift()
  if (!item) return
  if (sending++ === 0) session = request('status.json').catch(() => {})
  await session
  const seconds = await deliver(item)
  sending--
  void next()
  if (seconds === undefined) return
  dispatchEvent(new Event('unreached'))
  // Others are sent meanwhile: the network may pass all but this photo.
  await pause(seconds, item.upload.cancel.signal, true)
  waiting.push(item)
  void next()
}

/** Sends a photo until the service has taken or refused it. Returns the seconds to wait when it was not reached. */
async function deliver(item: Sent): Promise<number | undefined> {
  const { upload } = item
  const { traceId, cancel } = upload
  const { signal } = cancel
  const become = (state: Upload['state']) => {
    upload.state = state
    if (!signal.aborted) changed(item)
  }
  while (!signal.aborted) {
    become({ is: 'sending', share: 0 })
    upload.tries++
    const headers = { 'Idempotency-Key': upload.key, traceparent: `00-${traceId}-${hex(8)}-01` }
    const progress = (share: number) => become({ is: 'sending', share })
    const file = upload.file as File
    // A copy that fails is of a file that cannot be read, which is refused when it is sent.
    const body = upload.tries > 1 ? await copyOf(file).catch(() => file) : file
    const answer = await sendPhoto(body, headers, progress, signal)
    if (answer.kind === 'accepted') return void accept(item, answer.photo)
    if (answer.kind === 'refused') {
      if (!answer.problem.type.endsWith('key-reused'))
        return void become({ is: 'refused', problem: answer.problem })
      // Its name and size were those of an interrupted upload, whose key it got, but it is another photo.
      upload.key = hex(16)
      continue
    }
    if (signal.aborted) return
    // A service that answers is reached, and one that is busy says when to come again.
    if (answer.kind !== 'unreachable') upload.tries = 0
    const isLast = upload.tries >= maxTries
    if (isLast && (await fetchPhotos().catch(() => false))) return void become({ is: 'given-up' })
    const seconds = answer.kind === 'unreachable' ? backoffSeconds(upload.tries) : answer.seconds
    become({ is: 'retrying', because: answer.kind, at: performance.now() + seconds * 1000 })
    if (answer.kind === 'unreachable') return seconds
    await pause(seconds, signal, false)
  }
}

/**
 * A file in memory: one of Android's photo picker can be read but not sent. It is copied for one try only, or the copies of
 * all photos would fill the memory while the network is lost.
 */
const copyOf = async (file: File) => new Blob([await file.arrayBuffer()], { type: file.type })

/** Doubling from one second, half of it random, so that many browsers do not return at once. */
function backoffSeconds(attempt: number): number {
  const longest = Math.min(longestPauseSeconds, 2 ** (attempt - 1))
  return longest / 2 + (Math.random() * longest) / 2
}

/** Ends early when cancelled, or when the browser is online again. Leaves no listener: hundreds of photos pause for hours. */
const pause = (seconds: number, signal: AbortSignal, untilOnline: boolean): Promise<void> =>
  new Promise(resolve => {
    const end = () => {
      removeEventListener('online', end)
      resolve()
    }
    setTimeout(end, seconds * 1000)
    signal.onabort = end
    if (untilOnline) addEventListener('online', end)
  })
