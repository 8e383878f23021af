import { existsSync } from 'node:fs'
import { dayMs } from '../day.ts'
import { ExpectedError } from '../errors.ts'
import { parseJson } from '../json.ts'
import type { Queue } from '../queue/index.ts'
import type { Key, Storage } from '../storage/index.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Account } from './account.ts'
import type { Owner, PhotoId, PhotoRecord, ResultRecord } from './record.ts'
import { photoKey, photoPrefix, photoTime, recordVersion } from './record.ts'

export type PhotoContext = { storage: Storage; queue: Queue; account: Account; log: Log }
/** What a photo service has opened. */
export type Parts = PhotoContext & { metrics: Metrics }

/** A photo in storage; `result` is absent until the photo is settled. */
export type StoredPhoto = { record: PhotoRecord; result?: ResultRecord }

export const readRecord = (storage: Storage, owner: Owner, id: PhotoId) =>
  readJson(storage, photoKey(owner, id, 'photo.json'), (record: PhotoRecord) => isRecordOf(record, owner, id))

export const readResult = (storage: Storage, owner: Owner, id: PhotoId) =>
  readJson(storage, photoKey(owner, id, 'result.json'), isResult)

/**
 * With another storage than the queue's, as of a disk that is not mounted or of a second installation, photos would be
 * hidden, or fail without their originals. A bucket may remove photos after a day: older ones count in a new folder only.
 * @throws ExpectedError when storage has none of the photos that the queue knows.
 */
export async function checkStorage({ storage, queue }: Pick<PhotoContext, 'storage' | 'queue'>) {
  const folder = storage.fileOf('photos')
  const isNew = folder !== undefined && !existsSync(folder)
  const since = isNew ? 0 : queue.now() - dayMs
  // A probe may be deleting its photo now.
  const kept = (await queue.knownPhotos()).filter(({ promise, receivedAt }) => promise && receivedAt > since)
  for (const { owner, photo } of kept)
    if ((await storage.read(photoKey(owner, photo, 'photo.json'))) !== 'not-found') return
  if (kept.length > 0)
    throw new ExpectedError(
      'storage has none of the photos that the queue knows: is its disk mounted, and is STORAGE_URL that of QUEUE_URL? ' +
        'Another storage, or one that was emptied, needs another queue (docs/how-to/recover.md)',
    )
}

/** Finds a photo of this owner. A photo with a damaged record is shown as failed and can be deleted. */
export async function findPhoto(
  storage: Storage,
  owner: Owner,
  id: PhotoId,
): Promise<StoredPhoto | 'not-found'> {
  const [record, result] = await Promise.all([readRecord(storage, owner, id), readResult(storage, owner, id)])
  if (record === 'not-found') return 'not-found'
  if (record === 'damaged') return { record: standIn(owner, id), result: damaged }
  if (result === 'not-found') return { record }
  return { record, result: result === 'damaged' ? damaged : result }
}

export async function filesOf(storage: Storage, owner: Owner, photo: PhotoId): Promise<Set<string>> {
  const prefix = photoPrefix(owner, photo)
  const files = new Set<string>()
  for await (const key of storage.list(prefix)) files.add(key.slice(prefix.length))
  return files
}

/** Reads a small JSON record; `damaged` when it does not have its form. @throws when a newer version wrote it. */
export async function readJson<T>(storage: Storage, key: Key, isWhole: (value: T) => boolean) {
  const bytes = await storage.read(key)
  if (bytes === 'not-found') return bytes
  const value = parseJson<T>(bytes.toString())
  if (!value || !isWhole(value)) return 'damaged'
  const { version = 1 } = value as { version?: number }
  // Not 'damaged', because a damaged record may be overwritten.
  if (version > recordVersion)
    throw new Error(
      `${key} was written by a newer version of Tintype (form ${version}, known is ${recordVersion})`,
    )
  return value
}

const isTime = (text: unknown): boolean => typeof text === 'string' && !Number.isNaN(Date.parse(text))

const isRecordOf = (record: PhotoRecord, owner: Owner, id: PhotoId): boolean =>
  record.id === id && record.owner === owner && isTime(record.receivedAt) && isTime(record.promiseBy)

const isResult = (result: ResultRecord): boolean =>
  result.state === 'ready'
    ? Array.isArray(result.thumbnails) && isTime(result.durableAt)
    : result.state === 'failed' && typeof result.reason?.code === 'string' && isTime(result.failedAt)

const damaged: ResultRecord = {
  state: 'failed',
  reason: {
    code: 'storage',
    detail: 'Our record of this photo is damaged. That is our fault; delete the photo and upload it again.',
  },
  failedAt: new Date(0).toISOString(),
}

/** A record for a photo whose own is damaged. Its time comes from the id. */
function standIn(owner: Owner, id: PhotoId): PhotoRecord {
  const receivedAt = new Date(photoTime(id)).toISOString()
  return {
    id,
    owner,
    format: 'jpeg',
    contentType: 'application/octet-stream',
    bytes: 0,
    receivedAt,
    promiseBy: receivedAt,
    receiveSeconds: 0,
    probe: false,
  }
}
