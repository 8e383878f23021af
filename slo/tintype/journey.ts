import { setTimeout as delay } from 'node:timers/promises'
import type { ProbePhase } from '@tintype/lib/telemetry/catalogue.ts'
import { type Answer, excerpt, type Timed, timedRequest } from '../probe/request.ts'
import { isPicture, picture } from './picture.ts'

/** Each HTTP request of a journey has this long, as CONTRACT says; so has a person's patience with a page. */
const requestTimeoutMs = 5_000
/** A request that failed is tried once more after this: what a person does, and what rides out one lost packet. */
const retryAfterMs = 1_000
/** Between looks at the thumbnail: short at first, for a true time of the common case. */
const firstLookMs = 100
const slowestLookMs = 1_000

/** A person as the service knows them: the session cookie, once they have one. */
export type Visitor = { cookie: string | undefined }

export type Journey = {
  phases: Record<ProbePhase, number>
  /** Of the upload's `processing`, what the service does not account for; not a number without its word. */
  lostSeconds: number
  /** Where the photo is, to be deleted; absent when none was accepted. */
  photo?: URL
  /** Absent on success. */
  failure?: { step: 'upload' | 'thumbnail'; why: string }
}

export type Walk = {
  /** The service's address: http or https, local or remote. */
  target: URL
  token: string
  promiseSeconds: number
  visitor: Visitor
  signal: AbortSignal
}

/**
 * The synthetic user's way: upload, wait for the thumbnail, look at it. A phase that was not reached is 0.
 * Never throws for what the service does; throws the signal's reason when stopped.
 */
export async function walk(walk: Walk): Promise<Journey> {
  const upload = await ask(walk, 'POST', new URL('/photos', walk.target), requestTimeoutMs)
  const phases = { ...upload.phases, thumbnail: 0 }
  const lostSeconds = 'failed' in upload ? Number.NaN : phases.processing - ownSeconds(upload.answer)
  if ('failed' in upload) return { phases, lostSeconds, failure: { step: 'upload', why: upload.failed } }
  const { status, headers, body } = upload.answer
  if ((status !== 201 && status !== 202) || !headers.location)
    return { phases, lostSeconds, failure: { step: 'upload', why: `answer ${status}: ${excerpt(body)}` } }

  const photo = new URL(headers.location, walk.target)
  const begun = performance.now()
  const why = await awaitThumbnail(walk, photo)
  phases.thumbnail = (performance.now() - begun) / 1000
  return { phases, lostSeconds, photo, ...(why === null ? {} : { failure: { step: 'thumbnail', why } }) }
}

/** Null when the thumbnail came in time, else why not. */
async function awaitThumbnail(walk: Walk, photo: URL): Promise<string | null> {
  const thumbnail = new URL(`${photo.pathname}/thumbnail`, photo)
  const deadline = performance.now() + walk.promiseSeconds * 1000
  for (let pauseMs = firstLookMs; ; pauseMs = Math.min(pauseMs * 1.5, slowestLookMs)) {
    const leftMs = deadline - performance.now()
    if (leftMs <= 0) return `no thumbnail within ${walk.promiseSeconds} s`
    const look = await ask(walk, 'GET', thumbnail, Math.min(requestTimeoutMs, leftMs))
    if ('failed' in look) return look.failed
    const { status, headers, body } = look.answer
    // A retry may end after the deadline: what came too late is too late.
    if (status === 200 && performance.now() < deadline)
      return isPicture(headers['content-type'], body) ? null : 'what came is not the picture it says it is'
    if (status !== 202) return `answer ${status}: ${excerpt(body)}`
    await delay(pauseMs, undefined, { signal: walk.signal })
  }
}

/** Deletes a journey's photo. Null when it is gone, else why not. */
export async function tidyUp(walk: Walk, photo: URL): Promise<string | null> {
  const gone = await ask(walk, 'DELETE', photo, requestTimeoutMs)
  if ('failed' in gone) return gone.failed
  return gone.answer.status < 300 || gone.answer.status === 404 ? null : `answer ${gone.answer.status}`
}

/** Deletes whatever a visitor still has: photos of journeys that timed out, or whose deletion failed. */
export async function tidyUpAll(walk: Walk): Promise<void> {
  if (!walk.visitor.cookie) return
  const list = await ask(walk, 'GET', new URL('/photos', walk.target), requestTimeoutMs)
  if ('failed' in list || list.answer.status !== 200) return
  const { photos } = JSON.parse(list.answer.body.toString()) as { photos: { id: string }[] }
  for (const { id } of photos) await tidyUp(walk, new URL(`/photos/${id}`, walk.target))
}

/** What the service says the answer took it, as Server-Timing has it. */
const ownSeconds = ({ headers }: Answer): number =>
  Number(/\bdur=([\d.]+)/.exec(String(headers['server-timing']))?.[1] ?? Number.NaN) / 1000

/** A request with its one retry; connection failures, timeouts and 5xx are failures, other answers are answers. */
async function ask(walk: Walk, method: 'GET' | 'POST' | 'DELETE', url: URL, timeoutMs: number) {
  const first = await askOnce(walk, method, url, timeoutMs)
  if (!('failed' in first)) return first
  await delay(retryAfterMs, undefined, { signal: walk.signal })
  const second = await askOnce(walk, method, url, timeoutMs)
  return 'failed' in second ? { ...second, failed: `${first.failed}; again: ${second.failed}` } : second
}

async function askOnce(
  { visitor, token, signal }: Walk,
  method: 'GET' | 'POST' | 'DELETE',
  url: URL,
  timeoutMs: number,
): Promise<Timed> {
  const upload = method === 'POST' && { 'Content-Type': 'image/jpeg', 'Tintype-Probe': token }
  const headers = { ...(visitor.cookie && { Cookie: visitor.cookie }), ...upload }
  const body = upload ? { body: picture } : {}
  const timed = await timedRequest({ method, url, headers, ...body, timeoutMs, signal })
  signal.throwIfAborted()
  if ('failed' in timed) return timed
  const { status, headers: answered, body: said } = timed.answer
  keepCookie(visitor, answered['set-cookie'])
  return status >= 500 ? { phases: timed.phases, failed: `answer ${status}: ${excerpt(said)}` } : timed
}

function keepCookie(visitor: Visitor, given: string[] | undefined): void {
  const session = given?.find(cookie => cookie.startsWith('tintype_session='))
  if (session) visitor.cookie = session.split(';', 1)[0]
}
