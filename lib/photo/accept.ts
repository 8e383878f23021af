import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { faultPoint } from '../fault.ts'
import { countLimit, limits } from '../limits.ts'
import { jobOf } from '../queue/index.ts'
import type { Key } from '../storage/index.ts'
import { filesOf, findPhoto, type House, readJson } from './find.ts'
import { type Owner, type PhotoId, type PhotoRecord, photoKey, photoPrefix, photoTime } from './record.ts'

/** What was received of an upload; with an Idempotency-Key the body's hash too. */
export type Received = { bytes: number; sha256?: string }

/** One upload on its way to being accepted. */
export type Arrival<R extends Received = Received> = {
  photo: PhotoId
  owner: Owner
  /** Where its Idempotency-Key is remembered. */
  key?: Key | undefined
  body: Readable
  /** Each chunk of `body` has its memory for itself. */
  disposable: boolean
  maxBytes: number
  /** Resolves when `body` was read to its end and is well-formed. */
  received: Promise<R>
  recordOf(photo: PhotoId, received: R): PhotoRecord
  /** Asked when the body is there: what to refuse it with, when its promise cannot be kept any more. */
  refusal(): Promise<Error | null>
  /** Until when the session's detail is raised; travels with the photo. */
  detailUntil?: number | undefined
}

export type Accepted =
  /** `queuedAt`: when stage `receive` ended, epoch ms. */
  | { photo: PhotoId; record: PhotoRecord; queuedAt: number }
  /** The photo that the Idempotency-Key stands for. */
  | { photo: PhotoId }
export type Refused = 'too-large' | 'full' | 'deleted' | 'other-body'

/**
 * What an Idempotency-Key stands for. It is written, if absent, when the original is durable and before photo.json:
 * - of concurrent uploads with one key, one writes it; the others drop their own original and join its photo;
 * - killed before it: nothing points at the original; the retry begins anew;
 * - killed after it: the original is whole; the retry (its body has the same hash) writes photo.json and the job.
 * It outlives the photo: a retry that comes after the deletion must not bring the photo back.
 */
export type KeyRecord = { photo: PhotoId; sha256: string; bytes: number }

/** Uploads that withdraw a key between our two looks at it. */
const maxKeyTries = 5
/** A retry with its Idempotency-Key finishes an upload that was cut off, for so long. */
const finishableMs = 12 * 3_600_000
/** Then nothing can come of it; twice as long, so that no sweep meets a retry, nor an upload that is under way. */
export const forgottenMs = 2 * finishableMs

const isKey = ({ photo, sha256 }: KeyRecord): boolean =>
  typeof photo === 'string' && typeof sha256 === 'string'

/** What a key stands for. One that leads nowhere, after a crash or an error of its upload, is removed: its retry begins anew. */
export async function findKey(
  house: House,
  owner: Owner,
  key: Key | undefined,
): Promise<KeyRecord | undefined> {
  if (key === undefined) return undefined
  const known = await readJson(house.storage, key, isKey)
  if (known === 'not-found') return undefined
  if (known !== 'damaged' && (await leadsToPhoto(house, owner, known))) return known
  await house.storage.delete(key)
  return undefined
}

async function leadsToPhoto({ queue, storage }: House, owner: Owner, { photo }: KeyRecord): Promise<boolean> {
  if ((await queue.look(photo)) !== 'unknown') return true
  const files = await filesOf(storage, owner, photo)
  return files.has('photo.json') || (files.has('original') && Date.now() - photoTime(photo) < finishableMs)
}

/**
 * absent → stored → queued. Original, key, photo.json, then the job: when it resolves with a photo, all are durable
 * and the photo is a promise. A refusal, or an error before the key was sent, leaves nothing that a retry would meet.
 */
export async function accept<R extends Received>(
  house: House,
  arrival: Arrival<R>,
): Promise<Accepted | Refused> {
  const { owner, photo, key } = arrival
  const received = await store(house, arrival).catch(async error => {
    arrival.body.destroy()
    await discard(house, owner, photo)
    throw error
  })
  if (received === 'too-large') {
    await discard(house, owner, photo)
    return received
  }
  if (key === undefined) return enqueue(house, arrival, arrival.recordOf(photo, received))
  faultPoint('accept.original')
  // When this throws, the key may stand all the same, and another upload may have joined: nothing is removed.
  const winner = await claimKey(house, owner, key, keyRecordOf(photo, received))
  faultPoint('accept.key')
  if (winner.photo !== photo) {
    await discard(house, owner, photo)
    return join(house, arrival, winner, received)
  }
  return enqueue(house, arrival, await recordStanding(house, arrival, received))
}

/** The original; without a key photo.json is stored with it, for one fsync of their folder. */
async function store<R extends Received>(
  { storage }: House,
  { owner, photo, key, body, disposable, maxBytes, received, recordOf, refusal }: Arrival<R>,
): Promise<R | 'too-large'> {
  let refused: Error | null = null
  async function* files() {
    yield { key: photoKey(owner, photo, 'original'), body, maxBytes, disposable }
    const whole = await received
    refused = await refusal()
    if (key === undefined && !refused) yield recordFile(recordOf(photo, whole))
  }
  if ((await storage.putAll(files())) === 'too-large') return 'too-large'
  if (refused) throw refused
  return received
}

const recordFile = (record: PhotoRecord) => ({
  key: photoKey(record.owner, record.id, 'photo.json'),
  body: Buffer.from(JSON.stringify(record)),
})

const keyRecordOf = (photo: PhotoId, { sha256 = '', bytes }: Received): KeyRecord => ({
  photo,
  sha256,
  bytes,
})

/** Remembers the key; gives whose it is, ours or that of a concurrent upload. */
async function claimKey(house: House, owner: Owner, key: Key, ours: KeyRecord): Promise<KeyRecord> {
  const body = Buffer.from(JSON.stringify(ours))
  for (let tries = 1; ; tries++) {
    if ((await house.storage.put(key, body, { ifAbsent: true })) !== 'exists') return ours
    const standing = await findKey(house, owner, key)
    if (standing) return standing
    if (tries === maxKeyTries) throw new Error(`the Idempotency-Key of photo ${ours.photo} comes and goes`)
  }
}

/** photo.json as it stands: a concurrent upload with the same key may have written it first, with its own clock. */
async function recordStanding<R extends Received>(
  { storage }: House,
  { owner, photo, recordOf }: Arrival<R>,
  received: R,
): Promise<PhotoRecord> {
  const record = recordOf(photo, received)
  const file = recordFile(record)
  if ((await storage.put(file.key, file.body, { ifAbsent: true })) !== 'exists') return record
  const found = await findPhoto(storage, owner, photo)
  return found === 'not-found' ? record : found.record
}

async function enqueue(house: House, arrival: Arrival, record: PhotoRecord): Promise<Accepted | Refused> {
  const { owner, photo, key, detailUntil } = arrival
  const { queue, account } = house
  const queuedAt = queue.now()
  faultPoint('accept.recorded')
  const job = { ...jobOf(record), ...(detailUntil !== undefined && { detailUntil }) }
  let answer: Awaited<ReturnType<typeof queue.enqueue>>
  try {
    answer = await queue.enqueue(job, queuedAt)
  } catch (error) {
    // With a key a concurrent upload may have joined and been acknowledged: what is stored stays for the retry.
    if (key === undefined) await discard(house, owner, photo)
    throw error
  }
  faultPoint('accept.enqueued')
  if (answer === 'queued') account.accepted(record)
  if (answer === 'full' && (await withdraw(house, arrival)) === 'withdrawn') return 'full'
  return answer === 'deleted' ? 'deleted' : { photo, record, queuedAt }
}

/**
 * stored → absent, unless another upload joined and enqueued it. The key goes first, so that a retry begins anew
 * wherever a crash ends this.
 */
async function withdraw(house: House, { owner, photo, key }: Arrival): Promise<'withdrawn' | 'joined'> {
  const { storage, queue } = house
  const known = await findKey(house, owner, key)
  if (key !== undefined) await storage.delete(key)
  if ((await queue.bar(photo, owner)) === 'known') {
    if (key !== undefined && known)
      await storage.put(key, Buffer.from(JSON.stringify(known)), { ifAbsent: true })
    return 'joined'
  }
  await storage.delete(photoPrefix(owner, photo))
  await queue.bury(photo)
  return 'withdrawn'
}

const discardMs = 500
let discarding = 0

/**
 * Removes an upload that was never acknowledged; the sweep removes what is left. It goes on behind the answer after
 * `discardMs`: storage that failed just now would delay the answer by a second deadline.
 */
async function discard({ storage, log }: House, owner: Owner, photo: PhotoId): Promise<void> {
  if (discarding >= limits.discards.value) return countLimit('discards')
  discarding++
  const removal = storage
    .delete(photoPrefix(owner, photo))
    .catch(error => log.error('photo.leftover', { photo, error: String(error) }))
    .finally(() => discarding--)
  await Promise.race([removal, sleep(discardMs, undefined, { ref: false })])
}

/**
 * A request whose key is known: the photo it stands for, finished if the process that began it did not live to.
 * A finished or deleted photo is not put to work again.
 */
export async function join<R extends Received>(
  house: House,
  arrival: Arrival<R>,
  known: KeyRecord,
  received: R,
): Promise<Accepted | Refused> {
  if (received.sha256 !== known.sha256) return 'other-body'
  const { storage, queue, account } = house
  const { owner } = arrival
  const { photo } = known
  const state = await queue.look(photo)
  if (state !== 'unknown') return state.state === 'deleted' ? 'deleted' : { photo }
  if (!(await leadsToPhoto(house, owner, known))) return 'full' // withdrawn since; a retry begins anew
  const record = await recordStanding(house, { ...arrival, photo }, received)
  const found = await findPhoto(storage, owner, photo)
  if (found !== 'not-found' && found.result) return { photo }
  const answer = await queue.enqueue(jobOf(record))
  if (answer === 'queued') account.accepted(record)
  // 'deleted' here is a bar: the upload that began it found the queue full and withdrew it.
  return answer === 'full' || answer === 'deleted' ? 'full' : { photo }
}
