import { Problem } from '@tintype/lib/http.ts'
import {
  type Accepted,
  type Arrival,
  accept,
  findKey,
  join,
  type KeyRecord,
  type Refused,
} from '@tintype/lib/photo/accept.ts'
import { spanAttributes } from '@tintype/lib/photo/account.ts'
import { newPhotoId, type PhotoId, type PhotoRecord } from '@tintype/lib/photo/record.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { traceId, traceparent, withSpan } from '@tintype/lib/telemetry/trace.ts'
import type { Request, Response } from 'express'
import { keyOf, sameBody } from '../accept/idempotency.ts'
import { type Kind, sniff } from '../accept/sniff.ts'
import { openUpload, type Received, tooLarge, type Upload } from '../accept/upload.ts'
import { visitorOf } from '../visitors/session.ts'
import type { Web } from '../web.ts'

/**
 * Accepts an upload. When it resolves, original, photo.json and job are durable, and the photo is a promise. Returns the
 * photo's id, for a known Idempotency-Key that of its photo, and the record of a new photo.
 * @throws Problem for a refusal, or the error of storage or queue.
 */
export async function acceptPhoto(web: Web, request: Request, response: Response): Promise<Accepted> {
  const { owner } = visitorOf(response)
  // The request's span is the parent of `receive` and of all later stages.
  const begun: Begun = { startedAt: web.queue.now(), traceparent: traceparent() }
  return withSpan('receive', {}, async span => {
    const accepted = await receive(web, request, response, begun)
    span.setAttributes(spanAttributes(accepted.photo, owner))
    return accepted
  })
}

type Begun = { startedAt: number; traceparent: string | undefined }

async function receive(web: Web, request: Request, response: Response, begun: Begun): Promise<Accepted> {
  const { owner } = visitorOf(response)
  const key = keyOf(owner, request.get('idempotency-key'))
  const { maxUploadBytes: maxBytes } = web.limits
  const known = await findKey(web, owner, key)
  if (known) {
    const upload = await openUpload(request, maxBytes, true, web.queue.now)
    const arrival = await arrive(web, request, response, upload, begun)
    return accepted(web, await repeat(web, arrival, upload, known))
  }
  const ticket = await web.admission.admit()
  try {
    const upload = await openUpload(request, maxBytes, key !== undefined, web.queue.now)
    const arrival = await arrive(web, request, response, upload, begun)
    const refusal = () =>
      ticket.confirm().then(
        () => null,
        (error: Error) => error,
      )
    const answer = await accept(web, { ...arrival, key, refusal }).catch(cause => {
      throw ours(cause)
    })
    if (typeof answer === 'object' && 'record' in answer)
      observeReceive(web, (answer.queuedAt - begun.startedAt) / 1000, await upload.received)
    return accepted(web, answer)
  } finally {
    ticket.done()
  }
}

/** A request whose key is known: its body is compared and not stored. */
async function repeat(web: Web, arrival: Arrival<Received>, upload: Upload, known: KeyRecord) {
  const received = await sameBody(upload, known)
  return received === 'other-body' ? received : join(web, arrival, known, received)
}

/** The problem that caused storage's error, when the body broke off. */
const ours = (error: Error): Error => (error.cause instanceof Problem ? error.cause : error)

async function arrive(
  web: Web,
  request: Request,
  response: Response,
  upload: Upload,
  begun: Begun,
): Promise<Arrival<Received>> {
  const { owner, session } = visitorOf(response)
  const { limits, log, probeToken } = web
  const kind = await sniff(upload.head, limits.maxPixels)
  const about = {
    ...begun,
    owner,
    kind,
    promiseSeconds: limits.promiseSeconds,
    probe: request.get('tintype-probe') === probeToken,
  }
  return {
    photo: newPhotoId(begun.startedAt),
    owner,
    body: upload.body,
    disposable: upload.disposable,
    received: upload.received,
    maxBytes: limits.maxUploadBytes,
    recordOf: (photo, received) => recordOf(photo, received, about),
    refusal: async () => null,
    detailUntil: detailEnd(log, session),
  }
}

function recordOf(
  id: PhotoId,
  { bytes, receivedAt }: Received,
  about: Pick<PhotoRecord, 'owner' | 'probe'> & Begun & { kind: Kind; promiseSeconds: number },
): PhotoRecord {
  const { owner, probe, kind, startedAt, promiseSeconds } = about
  return {
    id,
    owner,
    ...kind,
    bytes,
    receivedAt: new Date(receivedAt).toISOString(),
    promiseBy: new Date(receivedAt + promiseSeconds * 1000).toISOString(),
    receiveSeconds: (receivedAt - startedAt) / 1000,
    probe,
    ...(about.traceparent !== undefined && { traceparent: about.traceparent }),
  }
}

/** @throws Problem when the upload was refused. */
function accepted({ limits }: Web, answer: Accepted | Refused): Accepted {
  if (typeof answer === 'object') return answer
  if (answer === 'too-large') throw tooLarge(limits.maxUploadBytes)
  if (answer === 'deleted')
    throw new Problem(410, 'deleted', 'The photo that this Idempotency-Key stands for was deleted.')
  if (answer === 'other-body')
    throw new Problem(
      409,
      'idempotency-key-reused',
      'This Idempotency-Key was used for another photo. Use a new key for each photo.',
    )
  throw new Problem(503, 'busy', 'So many photos are waiting that yours would be late. Try again in 60 s.', {
    headers: { 'Retry-After': '60' },
  })
}

/** Until when (epoch ms) the session's detail is raised. */
function detailEnd(log: Log, session: string): number | undefined {
  const raised = log
    .level()
    .raised.filter(each => each.level === 'debug' && (each.session === session || each.session === null))
  return raised.length === 0 ? undefined : Math.max(...raised.map(each => Date.parse(each.until)))
}

/** Stage `receive` ends when the original is durable, where stage `wait` begins. */
function observeReceive({ metrics }: Web, seconds: number, { clientSeconds }: Received): void {
  metrics.observe('tintype_stage_seconds', { stage: 'receive' }, seconds, traceId())
  metrics.observe('tintype_client_wait_seconds', {}, clientSeconds, traceId())
}
