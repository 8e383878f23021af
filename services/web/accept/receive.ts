import { hash } from 'node:crypto'
import { Problem } from '@tintype/lib/http.ts'
import { type Accepted, accept, findKey, type Refused } from '@tintype/lib/photo/accept.ts'
import { spanAttributes } from '@tintype/lib/photo/account.ts'
import { newPhotoId, type Owner } from '@tintype/lib/photo/record.ts'
import { roundedSeconds } from '@tintype/lib/photo/settle.ts'
import type { Key } from '@tintype/lib/storage/index.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { describeSpan, traceId, traceparent, withSpan } from '@tintype/lib/telemetry/trace.ts'
import type { Request, Response } from 'express'
import { visitorOf } from '../visitors/session.ts'
import type { Web } from '../web.ts'
import { tooMany } from './admission.ts'
import { sniff } from './sniff.ts'
import { openUpload, tooLarge } from './upload.ts'

/** Whether slo's probe sent the request. Its photos are not promises. */
export const isProbe = ({ probeToken }: Web, request: Request): boolean =>
  request.get('tintype-probe') === probeToken

/**
 * Accepts an upload. When it resolves, original, photo.json and job are durable, and the photo is a promise. Returns
 * the photo's id (for a known Idempotency-Key that of its photo), and the record of a new photo.
 * @throws Problem for a refusal, or the error of storage or queue.
 */
export async function acceptPhoto(web: Web, request: Request, response: Response): Promise<Accepted> {
  const startedAt = web.queue.now()
  // The request's span is the parent of `receive` and of all later stages.
  const parent = traceparent()
  return withSpan('receive', {}, async () => {
    const answer = await receive(web, request, response, startedAt, parent)
    if (typeof answer === 'string') throw refusalOf(answer, web.config.MAX_UPLOAD_BYTES)
    describeSpan(spanAttributes(answer.photo, visitorOf(response).owner))
    return answer
  })
}

async function receive(web: Web, request: Request, response: Response, startedAt: number, parent?: string) {
  const { owner } = visitorOf(response)
  const { queue, metrics } = web
  const { MAX_UPLOAD_BYTES: maxBytes, MAX_PIXELS, PROMISE_SECONDS } = web.config
  const key = keyOf(owner, request.get('idempotency-key'))
  const known = await findKey(web, owner, key)
  // A photo with a known key was admitted before.
  const ticket = known ? undefined : await web.admission.admit()
  try {
    const upload = await openUpload(request, maxBytes, key !== undefined, queue.now)
    const format = await sniff(upload.head, MAX_PIXELS)
    let unconfirmed: unknown
    const arriving = accept(web, {
      ...upload,
      photo: newPhotoId(startedAt),
      owner,
      key,
      known,
      maxBytes,
      recordOf: (id, { bytes, receivedAt }) => ({
        id,
        owner,
        format,
        contentType: `image/${format}`,
        bytes,
        receivedAt: new Date(receivedAt).toISOString(),
        promiseBy: new Date(receivedAt + PROMISE_SECONDS * 1000).toISOString(),
        receiveSeconds: roundedSeconds(receivedAt - startedAt),
        probe: isProbe(web, request),
        traceparent: parent,
      }),
      confirm: async () =>
        ticket?.confirm().catch(error => {
          unconfirmed = error
          throw error
        }),
    })
    const answer = await arriving.catch(error => {
      // When the body broke off or was not confirmed, storage throws; the error to answer with, or to log, is its cause.
      throw unconfirmed ?? (error.cause instanceof Problem ? error.cause : error)
    })
    if (typeof answer === 'object' && answer.record) {
      // Stage `receive` ends when the original is durable, where stage `wait` begins.
      const seconds = (answer.queuedAt - startedAt) / 1000
      const { clientSeconds } = await upload.received
      metrics.observe('tintype_stage_seconds', { stage: 'receive' }, seconds, traceId())
      metrics.observe('tintype_client_wait_seconds', {}, clientSeconds, traceId())
      describeSpan({ [attributes.bytes]: answer.record.bytes, [attributes.format]: format })
    }
    return answer
  } finally {
    ticket?.done()
  }
}

/**
 * The storage key of a request's Idempotency-Key; undefined without one.
 * @throws Problem 400 when it is empty or longer than 255 characters.
 */
function keyOf(owner: Owner, given: string | undefined): Key | undefined {
  if (given === undefined) return undefined
  if (given === '' || given.length > 255)
    throw new Problem(400, 'bad-idempotency-key', 'An Idempotency-Key must have 1 to 255 characters.')
  return `keys/${owner.slice(0, 2)}/${owner}/${hash('sha256', given)}`
}

function refusalOf(refused: Refused, maxBytes: number): Problem {
  if (refused === 'too-large') return tooLarge(maxBytes)
  if (refused === 'full') return tooMany(60, 'queueDepth')
  if (refused === 'deleted')
    return new Problem(410, 'deleted', 'The photo that this Idempotency-Key stands for was deleted.')
  const detail = 'This Idempotency-Key was used for another photo. Use a new key for each photo.'
  return new Problem(409, 'idempotency-key-reused', detail)
}
