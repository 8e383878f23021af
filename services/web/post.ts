import { describeError, errorCode } from '@tintype/lib/errors.ts'
import { Problem, sendProblem } from '@tintype/lib/http.ts'
import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express'
import { acceptPhoto, tooLarge } from './photos.ts'
import { uploadRate } from './rate.ts'
import { visitorOf } from './session.ts'
import { tooManyPixels } from './sniff.ts'
import { dropRest } from './upload.ts'
import { type PhotoView, pending } from './view.ts'
import { preferredWait, settledWithin } from './wait.ts'
import type { Web } from './web.ts'

/** A form's boundaries and headers beside its photo. */
const formOverheadBytes = 64 * 1024

/** What can be refused before a byte of the body is taken. */
export function refuseEarly(web: Web): RequestHandler {
  const checkRate = uploadRate(web.limits.uploadsPerMinute)
  const { maxUploadBytes } = web.limits
  return (request, response, next) => {
    if (web.draining.aborted)
      throw new Problem(503, 'stopping', 'This server is about to restart. Try again in 5 s.', {
        headers: { 'Retry-After': '5' },
      })
    const { owner, returning } = visitorOf(response)
    checkRate(returning ? owner : (request.ip ?? ''))
    const most = maxUploadBytes + (request.is('multipart/form-data') ? formOverheadBytes : 0)
    if (Number(request.get('content-length') ?? 0) > most) throw tooLarge(maxUploadBytes)
    next()
  }
}

/** POST /photos: 202 once the photo is durable; with `Prefer: wait=N` what became of it within N seconds. */
export function upload(web: Web): RequestHandler {
  return async (request, response) => {
    const { owner } = visitorOf(response)
    const accepted = await acceptPhoto(web, request, response)
    const id = accepted.photo
    const seconds = preferredWait(request.get('prefer'))
    if ('record' in accepted && seconds === 0)
      return answer(response, pending(accepted.record, 'queued'), false)
    if (seconds > 0) {
      response.set('Preference-Applied', `wait=${seconds}`)
      web.delivery.expect(id)
    }
    const view = await settledWithin(web, owner, id, seconds, AbortSignal.any([gone(response), web.draining]))
    answer(response, view, seconds > 0)
  }
}

/** What became of a photo that was accepted: from here on nothing is a refusal. */
function answer(response: Response, view: PhotoView | 'not-found', waited: boolean): void {
  const problem = waited || view === 'not-found' ? problemOf(view) : undefined
  if (problem) sendProblem(response, problem)
  else if (view !== 'not-found')
    response
      .status(waited && view.state === 'ready' ? 201 : 202)
      .set('Location', view.links.self)
      // Tells the time that was lost on the way: the browser shows it, the probe takes it off its own.
      .set('Server-Timing', `app;dur=${Math.round(performance.now() - response.locals.startedAt)}`)
      .json(view)
}

function problemOf(view: PhotoView | 'not-found'): Problem | undefined {
  if (view === 'not-found') return new Problem(410, 'deleted', 'This photo was deleted meanwhile.')
  if (!view.reason) return undefined
  const { code, detail } = view.reason
  return new Problem(422, `photo-${code}`, detail, {
    headers: { Location: view.links.self },
    members: { photo: view.links.self, reason: view.reason },
  })
}

function gone(response: Response): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => controller.abort())
  return controller.signal
}

/** Each upload that is not accepted: counted, logged, and answered so that a client still sending sees the answer. */
export function refused(web: Web): ErrorRequestHandler {
  return (error, request: Request, response, next) => {
    const { session } = visitorOf(response)
    if (request.destroyed && !request.complete) {
      web.log.info('photo.aborted', {}, session)
      return void response.destroy()
    }
    const problem = error instanceof Problem ? error : ours(web, error, session)
    if (problem === undefined) return next(error)
    const outcome = problem.status < 500 ? 'rejected' : 'shed'
    web.metrics.increment('tintype_photos_total', { outcome })
    if (problem.type.endsWith(tooManyPixels))
      web.metrics.increment('tintype_limit_reached_total', { limit: 'photoPixels' })
    if (problem.type.endsWith(notStored)) web.metrics.increment('tintype_photos_not_stored_total', {})
    web.log.info(`photo.${outcome}`, { type: problem.type, status: problem.status }, session)
    dropRest(request)
    next(problem)
  }
}

const notStored = 'not-stored'

/** Storage or queue cannot take it now: a full disk, no descriptors, an engine that is away. Undefined for a bug. */
function ours(web: Web, error: unknown, session: string): Problem | undefined {
  if (errorCode(error) === undefined) return undefined
  web.log.error('photo.not-stored', { error: describeError(error) }, session)
  return new Problem(503, notStored, 'The photo could not be stored just now. Try again in 10 s.', {
    headers: { 'Retry-After': '10' },
  })
}
