import { faultPoint } from '../fault.ts'
import { isLike } from '../json.ts'
import { jobOf } from '../queue/index.ts'
import type { Key } from '../storage/index.ts'
import { filesOf, findPhoto, type PhotoContext, readJson, readRecord, type StoredPhoto } from './find.ts'
import { ageOf, mayBeDeleted } from './finish.ts'
import type { Owner, PhotoId, PhotoRecord } from './record.ts'
import { bytesOf, photoKey, photoPrefix } from './record.ts'
import { discard, remove, untilAnswered } from './remove.ts'

/**
 * A received upload. `receivedAt` (epoch ms): when the last byte was read and the promise began. `clientSeconds`: time
 * spent waiting for the client's bytes. `sha256`: of the body, only with an Idempotency-Key.
 */
export type Received = { bytes: number; receivedAt: number; clientSeconds: number; sha256?: string }

type Arrival = {
  photo: PhotoId
  owner: Owner
  /** The storage key of its Idempotency-Key. */
  key?: Key | undefined
  /** The record of its key, if it has one. Its body is then only compared, so that a full disk refuses no retry. */
  known?: KnownKey | undefined
  body: AsyncIterable<Buffer>
  /** No other code uses the memory of the body's chunks. */
  disposable: boolean
  maxBytes: number
  /** Resolves when `body` was read to its end and is well-formed. */
  received: Promise<Received>
  recordOf(photo: PhotoId, received: Received): PhotoRecord
  /** Called when the body was received. @throws the error that refuses a promise that can no longer be kept. */
  confirm(): Promise<unknown>
}

export type Accepted =
  /** `queuedAt`: when stage `receive` ended, epoch ms. */
  | { photo: PhotoId; record: PhotoRecord; queuedAt: number }
  /** Another upload with the same Idempotency-Key made this photo. */
  | { photo: PhotoId; record?: undefined }
export type Refused = 'too-large' | 'full' | 'deleted' | 'other-body'

/**
 * The record of an Idempotency-Key, written if absent, between the durable original and photo.json. Of concurrent
 * uploads with one key one writes it, and the others join its photo. After a crash a retry finds no key and begins
 * anew, or finds an original and continues. The key outlives the photo: a late retry restores nothing.
 */
type KeyRecord = { photo: PhotoId; sha256: string }

/** Attempts to write the key while other uploads keep removing it. */
const maxKeyTries = 5
/** How long after its begin an interrupted upload can be finished by a retry with the same Idempotency-Key. */
const finishableMs = 12 * 3_600_000
/** Age at which the sweep removes an unfinished upload: twice as long, so that no retry or upload is in progress. */
export const forgottenMs = 2 * finishableMs

export const readKey = ({ storage }: PhotoContext, key: Key) =>
  readJson(storage, key, (known: KeyRecord) => isLike({ photo: '', sha256: '' }, known))

/** The record of a key. A key without a photo, left by a crash or an error, is removed: its retry begins anew. */
export async function findKey(context: PhotoContext, owner: Owner, key: Key | undefined) {
  if (key === undefined) return undefined
  const known = await readKey(context, key)
  const state = typeof known === 'object' && (await stateOf(context, owner, known))
  if (typeof known === 'object' && state) return { ...known, state }
  if (known !== 'not-found') await context.storage.delete(key)
  return undefined
}

type KnownKey = NonNullable<Awaited<ReturnType<typeof findKey>>>

/** The state of a key's photo. `stored`: a retry enqueues it. Undefined: a retry begins anew. */
async function stateOf(context: PhotoContext, owner: Owner, { photo }: KeyRecord) {
  const known = await context.queue.look(photo)
  if (known !== 'unknown') return known.state
  const record = await readRecord(context.storage, owner, photo)
  if (record === 'damaged' || (record !== 'not-found' && !record.refused)) return 'stored'
  if (ageOf(context, photo) > finishableMs) return mayBeDeleted(context, photo) ? 'deleted' : undefined
  return (await filesOf(context.storage, owner, photo)).has('original') ? 'stored' : undefined
}

/**
 * absent → stored → queued. Original, key, photo.json, then the job: when it resolves with a photo, all are durable
 * and the photo is a promise. A refusal or an error before the key was sent leaves nothing that a retry would meet.
 */
export async function accept(context: PhotoContext, arrival: Arrival): Promise<Accepted | Refused> {
  const { owner, photo, key, known } = arrival
  if (known) {
    const received = await readBody(arrival)
    return received === 'too-large' ? received : join(context, arrival, known, received)
  }
  const discardFiles = () =>
    discard(context, arrival, () => context.storage.delete(photoPrefix(owner, photo)))
  const received = await store(context, arrival).catch(async error => {
    await discardFiles()
    throw error
  })
  if (received === 'too-large') return received
  if (key === undefined) return enqueue(context, arrival, arrival.recordOf(photo, received))
  const { sha256 = '' } = received
  faultPoint('accept.original')
  // When this throws, the key may have been written and another upload may have joined: nothing is removed.
  const standing = await claimKey(context, owner, key, { photo, sha256 })
  faultPoint('accept.key')
  if (standing && standing.photo !== photo) {
    await discardFiles()
    return join(context, arrival, standing, received)
  }
  const { record } = await recordStanding(context, arrival, received)
  return enqueue(context, arrival, record)
}

/** Stores the original, and without a key photo.json with it, for one fsync of their folder. */
async function store(
  { storage }: PhotoContext,
  { owner, photo, key, body, disposable, maxBytes, received, recordOf, confirm }: Arrival,
): Promise<Received | 'too-large'> {
  async function* files() {
    yield { key: photoKey(owner, photo, 'original'), body, maxBytes, disposable }
    const whole = await received
    await confirm()
    if (key === undefined) yield recordFile(recordOf(photo, whole))
  }
  return (await storage.putAll(files())) === 'too-large' ? 'too-large' : received
}

async function readBody({ body, maxBytes, received }: Arrival): Promise<Received | 'too-large'> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxBytes) return 'too-large'
  }
  return received
}

const recordFile = (record: PhotoRecord) => ({
  key: photoKey(record.owner, record.id, 'photo.json'),
  body: bytesOf(record),
})

/** Writes the key's record if absent. Returns another upload's record that is there already, else undefined. */
async function claimKey(context: PhotoContext, owner: Owner, key: Key, ours: KeyRecord) {
  const body = Buffer.from(JSON.stringify(ours))
  for (let tries = 1; ; tries++) {
    if ((await context.storage.put(key, body, { ifAbsent: true })) !== 'exists') return undefined
    const standing = await findKey(context, owner, key)
    if (standing) return standing
    if (tries === maxKeyTries)
      throw new Error(`other uploads keep removing the Idempotency-Key of photo ${ours.photo}`)
  }
}

/**
 * Writes photo.json if absent, and returns the photo that stands: an upload with the same key may have been first. When
 * half of that upload's promise is over, its client was answered 503 and has sent the photo again. Then photo.json gets
 * this upload's promise, because the earlier one would soon be broken.
 */
async function recordStanding({ storage }: PhotoContext, arrival: Arrival, received: Received) {
  const { owner, photo, recordOf } = arrival
  const ours: StoredPhoto = { record: recordOf(photo, received) }
  const { key, body } = recordFile(ours.record)
  if ((await storage.put(key, body, { ifAbsent: true })) !== 'exists') return ours
  const found = await findPhoto(storage, owner, photo)
  if (found === 'not-found') return ours
  const half = (Date.parse(found.record.receivedAt) + Date.parse(found.record.promiseBy)) / 2
  if (found.result || (!found.record.refused && Date.parse(ours.record.receivedAt) < half)) return found
  const record = { ...ours.record, probe: found.record.probe }
  await storage.put(key, bytesOf(record))
  return { record }
}

async function enqueue(context: PhotoContext, arrival: Arrival, record: PhotoRecord) {
  const { photo, key } = arrival
  const { queue, account } = context
  const queuedAt = queue.now()
  faultPoint('accept.recorded')
  // When the connection broke after the commit, the job is in the queue: the photo is also removed there. With a key
  // the files stay, because another upload may have joined and been acknowledged, and a retry continues from them.
  const takeBack = () =>
    discard(context, arrival, () =>
      key === undefined ? untilAnswered(() => remove(context, arrival)) : markRefused(context, record),
    )
  const answer = await queue.enqueue(jobOf(record), queuedAt).catch(async error => {
    await takeBack()
    throw error
  })
  faultPoint('accept.enqueued')
  if (answer === 'already') return { photo }
  if (answer === 'full') await takeBack()
  if (answer !== 'queued') return answer
  account.accepted(record)
  return { photo, record, queuedAt }
}

/**
 * Marks a stored upload as refused, unless the queue has its job: the call may have worked after all, or another upload
 * with its key was queued. While the queue does not answer, it is asked again. A newer record of a retry stays.
 */
async function markRefused({ storage, queue }: PhotoContext, record: PhotoRecord): Promise<void> {
  const { owner, id } = record
  const { key, body } = recordFile(record)
  await storage.put(key, bytesOf({ ...record, refused: true }))
  await untilAnswered(async () => {
    if ((await queue.look(id)) === 'unknown') return
    const found = await readRecord(storage, owner, id)
    if (typeof found === 'object' && found.refused) await storage.put(key, body)
  })
}

/** Answers the photo of a known key, and finishes its upload. A finished or deleted photo is not enqueued again. */
async function join(context: PhotoContext, arrival: Arrival, known: KnownKey, received: Received) {
  const { photo, sha256, state } = known
  if (received.sha256 !== sha256) return 'other-body'
  if (state === 'deleted') return state
  if (state !== 'stored') return { photo }
  const { record, result } = await recordStanding(context, { ...arrival, photo }, received)
  return result ? { photo } : enqueue(context, { ...arrival, photo }, record)
}
