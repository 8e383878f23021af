import { type PageProblem, type Photo, sendPhoto } from './api.ts'
import type { Unsent } from './memory.ts'
import { say, words } from './words.ts'

export type Upload = Unsent & {
  /** Absent after a reload of the tab, until the file is chosen again. */
  file?: File
  traceId: string
  /** performance.now() of the click, drop or paste. */
  chosenAt: number
  state:
    | { is: 'waiting' }
    | { is: 'sending'; share: number }
    | { is: 'retrying'; because: 'busy' | 'unreachable'; at: number }
    | { is: 'refused'; problem: PageProblem }
    | { is: 'given-up' }
    | { is: 'interrupted' }
  cancel: AbortController
}

/** Concurrent uploads. Two tabs share the six connections that a browser opens, and need some for events and pictures. */
const sendingAtOnce = 2
/** With the pauses below, retries go on for about ten minutes. */
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
  lastModified: of.lastModified,
  ...(of instanceof File && { file: of }),
  traceId: hex(16),
  chosenAt: performance.now(),
  state: { is: of instanceof File ? 'waiting' : 'interrupted' },
  cancel: new AbortController(),
})

function refused({ status, problem }: { status: number; problem?: PageProblem }): Upload['state'] {
  if (problem) return { is: 'refused', problem }
  return refusal(status === 413 ? words.proxyTooLarge : say('proxyRefused', { status }))
}

/** A refusal by the page itself, in the page's language. */
export const refusal = (detail: string): Upload['state'] => ({
  is: 'refused',
  problem: { type: 'here', detail },
})

type Listener = {
  changed(upload: Upload): void
  accepted(upload: Upload, photo: Photo): void
}

/** Sends uploads, a few at once, and retries after "busy" and lost connections. Calls `listener` at every change. */
export function uploader(listener: Listener): (upload: Upload) => void {
  const waiting: Upload[] = []
  let sending = 0

  async function next(): Promise<void> {
    const upload = sending < sendingAtOnce && waiting.shift()
    if (!upload) return
    sending++
    await deliver(upload, listener)
    sending--
    void next()
  }

  return upload => {
    waiting.push(upload)
    void next()
  }
}

async function deliver(upload: Upload, listener: Listener): Promise<void> {
  const { signal } = upload.cancel
  const become = (state: Upload['state']) => {
    upload.state = state
    if (!signal.aborted) listener.changed(upload)
  }
  for (let attempt = 1; !signal.aborted; attempt++) {
    become({ is: 'sending', share: 0 })
    const answer = await attemptOnce(upload, share => become({ is: 'sending', share }))
    if (answer.kind === 'accepted') return listener.accepted(upload, answer.photo)
    if (answer.kind === 'refused') return become(refused(answer))
    if (answer.kind === 'unreadable') return become(refusal(words.unreadable))
    if (answer.kind === 'cancelled') return
    if (attempt === maxTries) return become({ is: 'given-up' })
    const seconds = answer.kind === 'busy' ? answer.seconds : backoffSeconds(attempt)
    become({ is: 'retrying', because: answer.kind, at: performance.now() + seconds * 1000 })
    await pause(seconds, signal, answer.kind === 'unreachable')
  }
}

function attemptOnce({ file, key, traceId, cancel }: Upload, onProgress: (share: number) => void) {
  const headers = { 'Idempotency-Key': key, traceparent: `00-${traceId}-${hex(8)}-01` }
  return sendPhoto(file as File, headers, onProgress, cancel.signal)
}

/** Doubling from one second, half of it random, so that many browsers do not return at once. */
function backoffSeconds(attempt: number): number {
  const longest = Math.min(longestPauseSeconds, 2 ** (attempt - 1))
  return longest / 2 + (Math.random() * longest) / 2
}

/** Ends early when cancelled, or when the browser is online again. */
function pause(seconds: number, signal: AbortSignal, untilOnline: boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, seconds * 1000)
  signal.addEventListener('abort', () => resolve())
  if (untilOnline) addEventListener('online', () => resolve(), { once: true })
  return promise
}
