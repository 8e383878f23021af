import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BoundedAnswer, inWords } from '@tintype/lib/http/bounded-request.ts'
import { parseJson } from '@tintype/lib/json.ts'
import type { Attempt } from '../probe/probe.ts'
import { type Timed, timedRequest, withRetry } from '../probe/request.ts'

/** The probe's photo: a JPEG of 64 × 48 pixels, 443 bytes. */
export const picture = readFileSync(new URL('picture.jpg', import.meta.url))

const requestTimeoutMs = 5_000
/** Pauses between requests for the thumbnail: short at first, to measure the common case exactly. */
const firstLookMs = 100
const slowestLookMs = 1_000
/** Pages of a visitor's list that are looked at in one go: a service may list what it no longer has. */
const maxPages = 10

/** The synthetic user's session cookie, once the service has set one. */
export type ProbeSession = { cookie: string | undefined }

type Journey = Omit<Attempt, 'tidyUp'> & {
  /** Seconds of the upload's `processing` that Server-Timing does not account for; NaN without that header. */
  lostSeconds: number
  /** The photo's address, for its deletion; absent when no photo was accepted. */
  photo?: URL
}

export type Visit = {
  /** The service's address, local or remote; with a proxy's path prefix it ends in a slash. */
  target: URL
  token: string
  visitor: ProbeSession
  /** Called when the visitor gets a cookie. */
  onCookie?(): void
  signal: AbortSignal
}

/**
 * The synthetic user's journey: uploads a photo, waits for its thumbnail and checks the picture. Phases that were not
 * reached are 0. Faults of the service are a `failure`. @throws only the signal's reason when stopped.
 */
export async function runJourney(visit: Visit): Promise<Journey> {
  const upload = await ask(visit, 'POST', new URL('photos', visit.target), requestTimeoutMs)
  const phases = { ...upload.phases, thumbnail: 0 }
  const lostSeconds = 'failed' in upload ? NaN : phases.processing - ownSeconds(upload.answer)
  const { certificateDays = Infinity } = upload
  const journey = { phases, lostSeconds, certificateDays }
  if ('failed' in upload) return { ...journey, failure: { step: 'upload', why: upload.failed } }
  const { status, headers, body } = upload.answer
  // Web says how long its promise is, so that slo needs no PROMISE_SECONDS that could differ.
  type Promised = { acceptedAt?: string; promiseBy?: string } | null
  const { acceptedAt, promiseBy } = parseJson<Promised>(body.toString()) ?? {}
  const promiseSeconds = (Date.parse(promiseBy ?? '') - Date.parse(acceptedAt ?? '')) / 1000
  if ((status !== 201 && status !== 202) || !headers.location || !(promiseSeconds > 0))
    return { ...journey, failure: { step: 'upload', why: inWords(upload.answer) } }

  // Not Location itself, because a proxy with a path prefix does not rewrite it.
  const photo = new URL(`photos/${headers.location.split('/').at(-1)}`, visit.target)
  const begun = performance.now()
  const why = await awaitThumbnail(visit, photo, promiseSeconds)
  phases.thumbnail = (performance.now() - begun) / 1000
  return { ...journey, photo, ...(why === null ? {} : { failure: { step: 'thumbnail', why } }) }
}

/** Waits for the thumbnail. Returns null when it came in time, else the reason. */
async function awaitThumbnail(visit: Visit, photo: URL, promiseSeconds: number): Promise<string | null> {
  const thumbnail = new URL(`${photo.pathname}/thumbnail`, photo)
  const deadline = performance.now() + promiseSeconds * 1000
  for (let pauseMs = firstLookMs; ; pauseMs = Math.min(pauseMs * 1.5, slowestLookMs)) {
    const leftMs = deadline - performance.now()
    if (leftMs <= 0) return `no thumbnail within ${promiseSeconds} s`
    const look = await ask(visit, 'GET', thumbnail, Math.min(requestTimeoutMs, leftMs))
    if ('failed' in look) {
      // The last request has only the rest of the promise as its timeout.
      if (leftMs < requestTimeoutMs && performance.now() >= deadline) continue
      return look.failed
    }
    const { status, headers, body } = look.answer
    // A retry may end after the deadline, which means a late thumbnail.
    if (status === 200 && performance.now() < deadline)
      return isPicture(headers['content-type'], body)
        ? null
        : 'the body is not the picture that Content-Type names'
    if (status !== 202) return inWords(look.answer)
    await sleep(pauseMs, undefined, { signal: visit.signal })
  }
}

const beginnings: Readonly<Record<string, RegExp>> = {
  'image/jpeg': /^\xff\xd8\xff/,
  'image/png': /^\x89PNG\r\n/,
  'image/webp': /^RIFF.{4}WEBP/s,
  'image/avif': /^.{4}ftyp/s,
}

/** Whether a body begins like its content type: an error page sent as 200 is no thumbnail. */
export const isPicture = (contentType: string | undefined, body: Buffer): boolean =>
  beginnings[contentType?.split(';')[0] ?? '']?.test(body.toString('latin1', 0, 16)) ?? false

/** Deletes a journey's photo. Returns null when it is gone, else the reason. */
export async function tidyUp(visit: Visit, photo: URL): Promise<string | null> {
  const gone = await ask(visit, 'DELETE', photo, requestTimeoutMs)
  if ('failed' in gone) return gone.failed
  return gone.answer.status < 300 || gone.answer.status === 404 ? null : inWords(gone.answer)
}

/**
 * Deletes a visitor's remaining photos, of journeys that timed out, were killed, or whose deletion failed. Returns
 * whether none is left.
 */
export async function tidyUpAll(visit: Visit): Promise<boolean> {
  if (!visit.visitor.cookie) return true
  for (let page = 0; page < maxPages; page++) {
    const list = await ask(visit, 'GET', new URL('photos', visit.target), requestTimeoutMs)
    if ('failed' in list || list.answer.status !== 200) return false
    // A page of the list: the next look shows the next one.
    const photos = parseJson<{ photos?: { id: string }[] } | null>(list.answer.body.toString())?.photos
    if (photos?.length === 0) return true
    let isStuck = true
    for (const { id } of photos ?? [])
      if ((await tidyUp(visit, new URL(`photos/${id}`, visit.target))) === null) isStuck = false
    if (isStuck) return false
  }
  return false
}

/** Seconds that web needed for an answer, from its entry in Server-Timing: a CDN adds entries of its own. */
const ownSeconds = ({ headers }: BoundedAnswer): number =>
  Number(/\bapp;dur=([\d.]+)/.exec(String(headers['server-timing']))?.[1] ?? NaN) / 1000

function ask(visit: Visit, method: 'GET' | 'POST' | 'DELETE', url: URL, timeoutMs: number): Promise<Timed> {
  const { visitor, onCookie, token, signal } = visit
  const upload = method === 'POST' && { 'Content-Type': 'image/jpeg', 'Tintype-Probe': token }
  const body = upload ? { body: picture } : {}
  const once = async () => {
    const headers = { ...(visitor.cookie && { Cookie: visitor.cookie }), ...upload }
    const timed = await timedRequest({ method, url, headers, ...body, timeoutMs, signal })
    const cookies = 'answer' in timed ? timed.answer.headers['set-cookie'] : undefined
    const session = cookies?.find(cookie => cookie.startsWith('tintype_session='))
    if (session) {
      visitor.cookie = session.split(';', 1)[0]
      onCookie?.()
    }
    return timed
  }
  return withRetry(once, signal)
}
