import { describeError } from '@tintype/lib/errors.ts'
import { faultPoint } from '@tintype/lib/fault.ts'
import { Problem } from '@tintype/lib/http.ts'
import { filesOf } from '@tintype/lib/photo/rebuild.ts'
import {
  newPhotoId,
  type Owner,
  type PhotoId,
  type PhotoRecord,
  photoKey,
  photoPrefix,
} from '@tintype/lib/photo/record.ts'
import type { Key, Storage } from '@tintype/lib/storage/index.ts'
import { traceId, traceparent, withSpan } from '@tintype/lib/telemetry/trace.ts'
import type { Request, Response } from 'express'
import { assertSame, claimKey, findKey, type KeyRecord, keyOf, sameBody } from './idempotency.ts'
import { enqueue, spanAttributes } from './promise.ts'
import { visitorOf } from './session.ts'
import { type Kind, sniff } from './sniff.ts'
import { isFinishable } from './unfinished.ts'
import { openUpload, type Received, type Upload } from './upload.ts'
import { findPhoto } from './view.ts'
import type { Web } from './web.ts'

export type Accepted = { id: PhotoId; record?: PhotoRecord }

/** One upload on its way to being accepted. */
type Arrival = {
  photo: PhotoId
  owner: Owner
  session: string
  /** Where its Idempotency-Key is remembered. */
  key: Key | undefined
  startedAt: number
  probe: boolean
  /** Of the request: the photo's later stages hang beside `receive`. */
  traceparent: string | undefined
}

/**
 * Takes an upload: when it resolves, original, photo.json and job are durable, and the photo is a promise.
 * Gives its id, with an Idempotency-Key that is known that of the photo it stands for; and what is known of a new one.
 * @throws Problem, or what went wrong on our side; then nothing of the photo is left.
 */
export async function acceptPhoto(web: Web, request: Request, response: Response): Promise<Accepted> {
  const arrival = arrive(web, request, response)
  return withSpan('receive', {}, async span => {
    const accepted = await receive(web, arrival, request, response)
    span.setAttributes(spanAttributes(accepted.id, arrival.session))
    return accepted
  })
}

function arrive(web: Web, request: Request, response: Response): Arrival {
  const { owner, session } = visitorOf(response)
  return {
    photo: newPhotoId(Date.now()),
    owner,
    session,
    key: keyOf(owner, request.get('idempotency-key')),
    startedAt: Date.now(),
    probe: request.get('tintype-probe') === web.probeToken,
    traceparent: traceparent(),
  }
}

async function receive(web: Web, arrival: Arrival, request: Request, response: Response): Promise<Accepted> {
  const known = await findKey(web.storage, arrival.key)
  if (known) return repeat(web, arrival, known, await openUpload(request, response, true))
  const ticket = await web.admission.admit()
  try {
    const upload = await openUpload(request, response, arrival.key !== undefined)
    const kind = await sniff(upload.head, web.limits.maxPixels)
    return await store(web, arrival, kind, upload, ticket.confirm)
  } finally {
    ticket.done()
  }
}

/**
 * The original's bytes flow, photo.json is stored with it, the job is last. With an Idempotency-Key photo.json waits
 * until the original is durable and the key is ours.
 */
async function store(
  web: Web,
  arrival: Arrival,
  kind: Kind,
  upload: Upload,
  confirm: () => Promise<void>,
): Promise<Accepted> {
  const { storage } = web
  const { owner, photo, key } = arrival
  const { maxUploadBytes: maxBytes } = web.limits
  async function* files() {
    const { body, disposable } = upload
    yield { key: photoKey(owner, photo, 'original'), body, maxBytes, disposable }
    const received = await upload.received
    await confirm()
    if (key === undefined) yield recordFile(recordOf(web, arrival, photo, kind, received))
  }
  try {
    if ((await storage.putAll(files())) === 'too-large') throw tooLarge(maxBytes)
    const received = await upload.received
    const record = recordOf(web, arrival, photo, kind, received)
    if (key !== undefined) {
      faultPoint('accept.original')
      const winner = await claimKey(storage, key, keyRecord(photo, received))
      faultPoint('accept.key')
      if (winner.photo !== photo) {
        await storage.delete(photoPrefix(owner, photo))
        return await join(web, arrival, winner, kind, received)
      }
      await writeRecord(storage, record)
    }
    faultPoint('accept.recorded')
    await enqueue(web, record)
    faultPoint('accept.enqueued')
    observeReceive(web, arrival, received)
    return { id: photo, record }
  } catch (error) {
    upload.body.destroy()
    await removeAll(web, arrival)
    const { cause } = error as Error // storage says which body broke off; whoever sent it needs to know why
    throw cause instanceof Problem ? cause : error
  }
}

export const tooLarge = (maxBytes: number): Problem =>
  new Problem(
    413,
    'too-large',
    `A photo may have ${Math.floor(maxBytes / 2 ** 20)} MB at most. Make it smaller, then try again.`,
  )

/** A request whose key is known: the photo it stands for, finished if whoever began it did not live to. */
async function repeat(web: Web, arrival: Arrival, known: KeyRecord, upload: Upload): Promise<Accepted> {
  const kind = await sniff(upload.head, web.limits.maxPixels)
  return join(web, arrival, known, kind, await sameBody(upload, known))
}

async function join(
  web: Web,
  arrival: Arrival,
  known: KeyRecord,
  kind: Kind,
  received: Received,
): Promise<Accepted> {
  assertSame(received, known)
  const { storage } = web
  const find = () => findPhoto(storage, arrival.owner, known.photo)
  let photo = await find()
  if (photo === 'not-found') {
    if (!isFinishable(known.photo) || !(await filesOf(storage, arrival.owner, known.photo)).has('original'))
      throw new Problem(410, 'deleted', 'The photo that this Idempotency-Key stands for was deleted.')
    await writeRecord(storage, recordOf(web, arrival, known.photo, kind, received))
    photo = await find()
  }
  if (photo !== 'not-found' && !photo.result) await enqueue(web, photo.record)
  return { id: known.photo }
}

const keyRecord = (photo: PhotoId, { sha256 = '', bytes }: Received): KeyRecord => ({ photo, sha256, bytes })

function recordOf(
  web: Web,
  arrival: Arrival,
  id: PhotoId,
  { format, contentType, width, height }: Kind,
  { bytes, receivedAt }: Received,
): PhotoRecord {
  return {
    id,
    owner: arrival.owner,
    format,
    contentType,
    bytes,
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    receivedAt: new Date(receivedAt).toISOString(),
    promiseBy: new Date(receivedAt + web.limits.promiseSeconds * 1000).toISOString(),
    receiveSeconds: (receivedAt - arrival.startedAt) / 1000,
    probe: arrival.probe,
    ...(arrival.traceparent !== undefined && { traceparent: arrival.traceparent }),
  }
}

const recordFile = (record: PhotoRecord) => ({
  key: photoKey(record.owner, record.id, 'photo.json'),
  body: Buffer.from(JSON.stringify(record)),
})

/** Whoever wrote photo.json first, with its clock, stands. */
function writeRecord(storage: Storage, record: PhotoRecord) {
  const { key, body } = recordFile(record)
  return storage.put(key, body, { ifAbsent: true })
}

/** The stage ends when the original is durable: unlike the photo's own `receive`, a slow disk shows in it. */
function observeReceive({ metrics }: Web, { startedAt }: Arrival, { clientSeconds }: Received): void {
  metrics.observe('tintype_stage_seconds', { stage: 'receive' }, (Date.now() - startedAt) / 1000, traceId())
  metrics.observe('tintype_client_wait_seconds', {}, clientSeconds, traceId())
}

async function removeAll({ storage, log }: Web, { owner, photo, session }: Arrival): Promise<void> {
  try {
    await storage.delete(photoPrefix(owner, photo))
  } catch (error) {
    log.error('photo.leftover', { photo, error: describeError(error) }, session)
  }
}
