import { openDoorbell } from '@tintype/lib/doorbell.ts'
import { errorCode } from '@tintype/lib/errors.ts'
import { tooSlow } from '@tintype/lib/http/connections.ts'
import { refuseCompressed } from '@tintype/lib/http/request-body.ts'
import { goneSignal, hasLeft, Problem, sendProblem, tryAgain } from '@tintype/lib/http.ts'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Accepted } from '@tintype/lib/photo/accept.ts'
import type { Owner } from '@tintype/lib/photo/record.ts'
import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express'
import { type PhotoView, pending, viewPhoto } from '../show/photo-view.ts'
import { clientAddress } from '../visitors/address.ts'
import { visitorOf } from '../visitors/session.ts'
import { countAtOnce, uploadRate } from '../visitors/visitor-limits.ts'
import type { Web } from '../web.ts'
import { acceptPhoto, isProbe } from './receive.ts'
import { unsupported } from './sniff.ts'
import { isOnePiece, maxBodyBytes, mediaType, onePiece, tooLarge } from './upload.ts'

/** Refuses requests before the body is read. */
export function refuseEarly(web: Web): RequestHandler {
  const checkRate = uploadRate(web.config.UPLOADS_PER_MINUTE)
  const maxBytes = web.config.MAX_UPLOAD_BYTES
  return (request, response, next) => {
    if (web.draining.aborted) throw tryAgain(503, 'stopping', 'This server is about to restart.', 5)
    if (!isProbe(web, request)) {
      // The rate does not limit the probe: its refused attempts would count as an outage.
      checkRate(visitorOf(response), clientAddress(request))
      // Photos of a probe with another token would count as people's.
      if (request.headers['tintype-probe'] !== undefined) throw new Problem(403, 'other-probe', otherProbe)
    }
    if (isOnePiece(request)) throw onePiece()
    if (request.is('*/*') === null) throw new Problem(400, 'empty', noBody)
    refuseCompressed(request)
    const type = mediaType(request)
    // With `Expect: 100-continue` no bytes are known yet, so the declared type decides; otherwise the bytes decide.
    if (request.headers.expect !== undefined && otherType.test(type)) throw unsupported(type, Buffer.alloc(0))
    if (Number(request.get('content-length') ?? 0) > maxBodyBytes(request, maxBytes)) throw tooLarge(maxBytes)
    next()
  }
}

const noBody = 'The request has no body: one needs Content-Length or Transfer-Encoding: chunked.'
const otherProbe = 'Tintype-Probe is not PROBE_TOKEN of web. Start slo and web with the same one.'

/** Content types of what is no photo. Programs have several names for any file: binary/octet-stream, application/x-binary. */
const otherType = /^(image\/svg|(text|audio|video)\/|application\/(json|pdf|xml|zip)$)/

/** POST /photos: 202 when the photo is durable, or with `Prefer: wait=N` its state after at most N seconds. */
export function postPhoto(web: Web): RequestHandler {
  const enter = countAtOnce('uploads', 'visitorUploads', 'addressUploads')
  let waits = 0
  return async (request, response) => {
    const { owner } = visitorOf(response)
    const leave = enter(owner, clientAddress(request))
    if (typeof leave === 'string') throw tooManyAtOnce(leave)
    const accepted = await acceptPhoto(web, request, response).finally(leave)
    const wanted = preferredWait(request.get('prefer'))
    const seconds = waits < limits.waits.value ? wanted : 0
    if (seconds < wanted) countLimit('waits')
    if (seconds > 0) {
      response.set('Preference-Applied', `wait=${seconds}`)
      web.delivery.expect(accepted.photo)
    }
    waits++
    const signal = AbortSignal.any([goneSignal(response), web.draining])
    const view = await settledWithin(web, owner, accepted, seconds, signal).finally(() => waits--)
    answer(response, view, seconds > 0)
  }
}

function tooManyAtOnce(limit: 'uploads' | 'visitorUploads' | 'addressUploads'): Problem {
  if (limit === 'uploads') return tryAgain(503, 'busy', 'Too many photos are being uploaded.', 5, limit)
  const who = limit === 'visitorUploads' ? 'You' : 'People at your address'
  const what = `${who} are uploading ${limits[limit].value} photos at once. Let some finish.`
  return tryAgain(429, 'too-many-at-once', what, 5, limit)
}

/** Answers with the state of an accepted photo. */
function answer(response: Response, view: PhotoView | 'not-found', waited: boolean): void {
  if (view === 'not-found')
    return void sendProblem(response, new Problem(410, 'deleted', 'This photo was deleted meanwhile.'))
  const { reason, state } = view
  const { self } = view.links
  if (waited && reason) {
    const more = { headers: { Location: self }, members: { photo: self, reason } }
    return void sendProblem(response, new Problem(422, `photo-${reason.code}`, reason.detail, more))
  }
  response
    .status(waited && state === 'ready' ? 201 : 202)
    .set('Location', self)
    // The browser and the probe subtract it from their own time to get the network's time.
    .set('Server-Timing', `app;dur=${Math.round(performance.now() - response.locals.startedAt)}`)
    .json(view)
}

/** Counts, logs and answers each upload that is not accepted. */
export function answerRefusal(web: Web): ErrorRequestHandler {
  return (error, request: Request, response, next) => {
    const { session } = visitorOf(response)
    const left = hasLeft(request) && (response.statusCode === tooSlow.status ? tooSlow : 'aborted')
    if (left === 'aborted') {
      web.log.info('photo.aborted', {}, session)
      return void response.destroy()
    }
    const problem = left || (error instanceof Problem ? error : ours(web, error, session))
    if (problem === undefined) return next(error)
    const { type, status } = problem
    const outcome = status < 500 ? 'rejected' : 'shed'
    web.metrics.increment('tintype_photos_total', { outcome })
    if (type === 'not-stored') web.metrics.increment('tintype_photos_not_stored_total', {})
    // By the response's X-Request-Id an operator finds the refusal that a person reports.
    const probe = isProbe(web, request) || undefined
    web.log.info(`photo.${outcome}`, { type, status, probe, requestId: response.locals.requestId }, session)
    next(problem)
  }
}

/** The problem for an error with a code, which comes from storage or queue; undefined for a bug. */
function ours(web: Web, error: unknown, session: string): Problem | undefined {
  if (errorCode(error) === undefined) return undefined
  web.log.error('photo.not-stored', { error }, session)
  return tryAgain(503, 'not-stored', 'The photo could not be stored just now.', 10)
}

const maxWaitSeconds = 60

/** Seconds of `Prefer: wait=N` (RFC 7240), at most 60; 0 unless its first `wait` is a whole number. */
export function preferredWait(header = ''): number {
  const wait = header.split(',').find(each => /^\s*wait\s*([=;]|$)/i.test(each))
  return Math.min(maxWaitSeconds, Number(/^\s*wait\s*=\s*"?(\d+)"?\s*(;|$)/i.exec(wait ?? '')?.[1] ?? 0))
}

/** Interval of reading storage without an event, because an event is only a hint. */
const pollMs = 1_000

/**
 * The photo when it is ready or failed, or its state at the timeout or when the signal aborts. `record`: that of
 * a new photo, which is not read before its first event or poll. While queue or storage is away, the last known
 * state stands: after an error the client would send the photo again.
 */
async function settledWithin(
  web: Web,
  owner: Owner,
  { photo: id, record }: Accepted,
  seconds: number,
  signal: AbortSignal,
): Promise<PhotoView | 'not-found'> {
  const deadline = performance.now() + seconds * 1000
  const ended = openDoorbell()
  const unsubscribe = web.events.subscribe(owner, ({ photo, state }) => {
    if (photo === id && state !== 'queued' && state !== 'converting') ended.ring()
  })
  try {
    let rings = ended.rings()
    let view = record ? pending(web, record, 'queued') : await viewPhoto(web, owner, id)
    for (;;) {
      const over = view === 'not-found' || view.state === 'ready' || view.state === 'failed'
      const leftMs = deadline - performance.now()
      if (over || leftMs <= 0 || signal.aborted) return view
      await ended.wait(rings, Math.min(pollMs, leftMs), signal)
      rings = ended.rings()
      view = await viewPhoto(web, owner, id).catch(() => view)
    }
  } finally {
    unsubscribe()
  }
}
