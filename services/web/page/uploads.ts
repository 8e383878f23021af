import { fetchPhotos, sendPhoto } from './api.ts'
import type { Unsent } from './memory.ts'
import { accept, changed, type Item, type Upload } from './photos.ts'

/** Concurrent uploads. Two tabs share the six connections that a browser opens, and need some for events and pictures. */
const sendingAtOnce = 2
/** About ten minutes with the pauses below. Then an upload is given up, but only if the service answers other requests. */
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
  chosenAt: performance.now(),
  state: { is: of instanceof File ? 'waiting' : 'interrupted' },
  cancel: new AbortController(),
})

type Sent = Item & { upload: Upload }
const waiting: Sent[] = []
let sending = 0

/** Sends an upload, a few at once, and again after "busy" and lost connections. */
export function send(item: Sent): void {
  item.upload.state = { is: 'waiting' }
  changed(item)
  waiting.push(item)
  void next()
}

async function next(): Promise<void> {
  const item = sending < sendingAtOnce && waiting.shift()
  if (!item) return
  sending++
  await deliver(item)
  sending--
  void next()
}

async function deliver(item: Sent): Promise<void> {
  const { upload } = item
  const { traceId, cancel } = upload
  const { signal } = cancel
  const become = (state: Upload['state']) => {
    upload.state = state
    if (!signal.aborted) changed(item)
  }
  for (let attempt = 1; !signal.aborted; attempt++) {
    become({ is: 'sending', share: 0 })
    const headers = { 'Idempotency-Key': upload.key, traceparent: `00-${traceId}-${hex(8)}-01` }
    const progress = (share: number) => become({ is: 'sending', share })
    const answer = await sendPhoto(upload.file as Blob, headers, progress, signal)
    if (answer.kind === 'accepted') return accept(item, answer.photo)
    if (answer.kind === 'refused') {
      if (!answer.problem.type.endsWith('key-reused'))
        return become({ is: 'refused', problem: answer.problem })
      // Its name and size were those of an interrupted upload, whose key it got, but it is another photo.
      upload.key = hex(16)
      continue
    }
    if (answer.kind === 'cancelled' || signal.aborted) return
    const isReached = attempt >= maxTries && (await fetchPhotos().catch(() => false))
    if (isReached) return become({ is: 'given-up' })
    if (answer.kind === 'unreachable') upload.file = answer.copy ?? upload.file
    const seconds = answer.kind === 'busy' ? answer.seconds : backoffSeconds(attempt)
    become({ is: 'retrying', because: answer.kind, at: performance.now() + seconds * 1000 })
    await pause(seconds, signal, answer.kind === 'unreachable')
  }
}

/** Doubling from one second, half of it random, so that many browsers do not return at once. */
function backoffSeconds(attempt: number): number {
  const longest = Math.min(longestPauseSeconds, 2 ** (attempt - 1))
  return longest / 2 + (Math.random() * longest) / 2
}

/** Ends early when cancelled, or when the browser is online again. */
const pause = (seconds: number, signal: AbortSignal, untilOnline: boolean): Promise<void> =>
  new Promise(resolve => {
    setTimeout(resolve, seconds * 1000)
    signal.addEventListener('abort', () => resolve())
    if (untilOnline) addEventListener('online', () => resolve(), { once: true })
  })
