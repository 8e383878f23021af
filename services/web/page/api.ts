/** The public HTTP interface that the page uses. */

import { getJson, noteHeaders, request } from '@tintype/lib/page/browser/server.ts'
import type { PhotoView as Photo } from '../show/photo-view.ts'

export type { Photo }

/** The server's stages in order, in seconds in `GET /photos/{id}`. */
export const serverStages = ['receive', 'wait', 'convert', 'store'] as const

/** A problem of RFC 9457, or a code of the page when there was no response. */
export type PageProblem = { type: string; detail: string }

type Answer =
  | { kind: 'accepted'; photo: Photo }
  /** Seconds to wait before a retry. Unavailable: a full disk, no converter, a restart. */
  | { kind: 'busy' | 'unavailable'; seconds: number }
  | { kind: 'refused'; problem: PageProblem }
  | { kind: 'unreachable' }

/** Fifty photos have 30 KB. A phone on a slow line reads them beside pictures and sends photos meanwhile. */
const listMs = 30_000

/** A page of this session's photos, newest first. @throws when the request fails. */
export async function fetchPhotos(address = 'photos'): Promise<{ photos: Photo[]; next: string | null }> {
  const { photos, next } = await getJson<{ photos: Photo[]; next: string | null }>(address, listMs)
  // Relative to the page, which a proxy may serve under a prefix.
  return { photos, next: next?.replace(/^\//, '') ?? null }
}

/** Whether web itself says that it does not have what was asked for: a proxy's 404 is no problem document. */
export const isGone = ({ status, headers }: Response): boolean =>
  status === 404 && headers.get('content-type')?.startsWith('application/problem') === true

/** @throws when the deletion fails. A photo of which web says that it no longer exists counts as deleted. */
export async function deletePhoto(id: string): Promise<void> {
  const answer = await request(`photos/${id}`, { method: 'DELETE' })
  // A proxy may answer 200 with its login page.
  if (answer.status !== 204 && !isGone(answer)) throw new Error(`DELETE: ${answer.status}`)
}

/** Sends the time from click to picture. A failure is ignored. */
export async function reportExperience(photo: string, seconds: number): Promise<void> {
  const body = JSON.stringify({ photo, seconds })
  const headers = { 'Content-Type': 'application/json' }
  await request('experience', { method: 'POST', headers, body }).catch(() => {})
}

/** Used when a response has no Retry-After in seconds. */
const defaultRetrySeconds = 5
/** Beyond 24 days a timer would end at once; and a service that is back should not be waited for much longer. */
const maxRetrySeconds = 600
/** An upload without progress for so long counts as a lost connection: a browser notices a dead one only after minutes. */
const stallMs = 60_000
/** Half a megabit a second: a proxy or virus scanner takes a photo at once and passes it on at its line’s speed. */
const slowBytesPerMs = 64

/**
 * Sends one photo by XMLHttpRequest, because fetch reports no upload progress.
 * @param onProgress the share sent, 0 to 1.
 */
export function sendPhoto(
  file: Blob,
  headers: Record<string, string>,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<Answer> {
  const begunAt = performance.now()
  return new Promise(resolve => {
    const xhr = new XMLHttpRequest()
    const lost = () => resolve({ kind: 'unreachable' })
    let sent = 0
    const progress = (share: number) => {
      sent = share
      // Counted from the beginning of the request, and set by the first bytes: a browser sends six requests at once.
      const passedOnMs = share === 1 ? file.size / slowBytesPerMs : 0
      xhr.timeout = performance.now() - begunAt + stallMs + passedOnMs
      onProgress(share)
    }
    xhr.open('POST', 'photos')
    xhr.responseType = 'json'
    // That of a saved page (.mhtml) is multipart/related, which would be read as a form.
    const type = file.type.startsWith('image/') ? file.type : 'application/octet-stream'
    xhr.setRequestHeader('Content-Type', type)
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value)
    xhr.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 1)
    xhr.upload.onload = () => progress(1)
    xhr.onload = () => resolve(answerOf(xhr))
    // A file that cannot be read fails as a lost connection does.
    const readFirst = () => file.slice(0, 1).arrayBuffer()
    xhr.onerror = () => readFirst().then(lost, () => resolve(refusal('unreadable')))
    xhr.ontimeout = lost
    // Browsers, too, abort requests: when a page is left, or by their button to stop loading.
    xhr.onabort = lost
    // A photo that was sent whole may be accepted by now. The answer says which one is to be deleted.
    // Replaces the handler of the try before: a listener for each would keep its request while the network is lost.
    signal.onabort = () => sent === 1 || xhr.abort()
    if (signal.aborted) lost()
    else xhr.send(file)
  })
}

/**
 * Below 400 the response is of a network that asks for a login, 401 of a proxy that does. Proxies answer 404 while web
 * restarts. 408: the bytes came too slowly.
 */
const passing = new Set([401, 404, 408])

function answerOf(xhr: XMLHttpRequest): Answer {
  noteHeaders(name => xhr.getResponseHeader(name))
  if ((xhr.status === 201 || xhr.status === 202) && xhr.response?.promiseBy)
    return { kind: 'accepted', photo: xhr.response }
  if (xhr.status === 503 || xhr.status === 429) {
    const seconds = Number(xhr.getResponseHeader('retry-after')) || defaultRetrySeconds
    const isBusy = xhr.status === 429 || xhr.response?.type === '/problems/busy'
    return { kind: isBusy ? 'busy' : 'unavailable', seconds: Math.min(Math.max(1, seconds), maxRetrySeconds) }
  }
  const { status, response } = xhr
  if (status < 400 || status >= 500 || passing.has(status)) return { kind: 'unreachable' }
  if (response?.detail) return { kind: 'refused', problem: response }
  // It is not web's response: a proxy refused the photo.
  return refusal(status === 413 ? 'proxy-too-large' : 'proxy', `HTTP ${status}`)
}

/** A refusal by the page: words.json has its text. */
const refusal = (type: string, detail = ''): Answer => ({ kind: 'refused', problem: { type, detail } })
