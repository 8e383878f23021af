import { jobOf, type Queue } from '../queue/index.ts'
import type { Key, Storage } from '../storage/index.ts'
import type { Outcome } from '../telemetry/catalogue.ts'
import {
  isBytesFault,
  type Owner,
  type PhotoId,
  type PhotoRecord,
  photoPrefix,
  type ResultRecord,
  thumbnailFile,
} from './record.ts'

/** Photos handled at once: they share the queue's transactions. */
const together = 64

export type Rebuilt = {
  /** Unfinished photos put back to work, with the promise they were given. */
  requeued: number
  /** Finished photos whose outcome the queue knows again, uncounted. */
  restored: number
  /** Photos the queue knew already. */
  known: number
  /** Uploads that a power cut ended before they were accepted: photo.json without its original. */
  unfinished: number
  /** Keys of records that cannot be read; the rest is rebuilt all the same. */
  unreadable: Key[]
}

/** Rebuilds a lost queue from storage, which has the truth. May run beside the service, and again. */
export async function rebuild(storage: Storage, queue: Queue): Promise<Rebuilt> {
  const rebuilt: Rebuilt = { requeued: 0, restored: 0, known: 0, unfinished: 0, unreadable: [] }
  const putBack = async (key: Key) => {
    const answer = await rebuildPhoto(storage, queue, key)
    if (answer === 'unreadable') rebuilt.unreadable.push(key)
    else rebuilt[answer]++
  }
  let batch: Key[] = []
  for await (const key of storage.list('photos/')) {
    if (!key.endsWith('/photo.json')) continue
    batch.push(key)
    if (batch.length < together) continue
    await Promise.all(batch.map(putBack))
    batch = []
  }
  await Promise.all(batch.map(putBack))
  return rebuilt
}

async function rebuildPhoto(storage: Storage, queue: Queue, key: Key) {
  const record = parse<PhotoRecord>(await storage.read(key))
  const written = await storage.read(key.replace(/photo\.json$/, 'result.json'))
  const result = written === 'not-found' ? null : parse<ResultRecord>(written)
  if (record === 'unreadable' || result === 'unreadable') return 'unreadable'
  const files = await filesOf(storage, record.owner, record.id)
  if (
    result &&
    (result.state === 'failed' || result.thumbnails.every(each => files.has(thumbnailFile(each))))
  ) {
    const answer = await queue.restore(jobOf(record), { outcome: outcomeOf(record, result) })
    return answer === 'already' ? 'known' : 'restored'
  }
  if (!files.has('original')) return 'unfinished'
  const answer = await queue.enqueue(jobOf(record))
  if (answer === 'full') throw new Error('the queue is full: open it without a limit to rebuild it')
  return answer === 'already' ? 'known' : 'requeued'
}

/**
 * What storage holds of a photo. Files stored together are made durable by one fsync of their folder: a power cut
 * before it, hence before anybody was told, may leave photo.json without its original, or result.json without thumbnails.
 */
export async function filesOf(storage: Storage, owner: Owner, photo: PhotoId): Promise<Set<string>> {
  const prefix = photoPrefix(owner, photo)
  const files = new Set<string>()
  for await (const key of storage.list(prefix)) files.add(key.slice(prefix.length))
  return files
}

function parse<T>(bytes: Buffer | 'not-found'): T | 'unreadable' {
  try {
    return JSON.parse(bytes.toString()) as T
  } catch {
    return 'unreadable'
  }
}

/** The outcome that a photo's records tell; null for a probe's. */
export function outcomeOf(record: PhotoRecord, result: ResultRecord): Outcome | null {
  if (record.probe) return null
  const ended = result.state === 'ready' ? result.durableAt : result.failedAt
  const inTime = Date.parse(ended) <= Date.parse(record.promiseBy)
  if (result.state === 'ready') return inTime ? 'kept' : 'broken'
  return inTime && isBytesFault(result.reason) ? 'void' : 'broken'
}
