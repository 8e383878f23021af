import { type Job, jobOf, retentionMs } from '../queue/index.ts'
import { filesOf, type PhotoContext, readRecord, readResult } from './find.ts'
import { type Owner, type PhotoId, photoKey, photoTime, thumbnailFile } from './record.ts'
import { outcomeOf } from './settle.ts'

export type Finished =
  /** Enqueued with its original promise. */
  | 'requeued'
  /** It has a result: the queue's outcome was restored without counting it again. */
  | 'restored'
  | 'known'
  /** photo.json without its original, which a power cut before the 202 can leave. */
  | 'unfinished'
  | 'unreadable'
  /** The queue keeps ids for 8 days, so it does not know whether an older photo was converted. */
  | 'too-old'

/** stored → queued, or → done when its result stands. For a photo that the queue does not know. */
export async function finish(
  context: Omit<PhotoContext, 'log'>,
  owner: Owner,
  photo: PhotoId,
): Promise<Finished> {
  const { storage, queue, account } = context
  const [record, result] = await Promise.all([
    readRecord(storage, owner, photo),
    readResult(storage, owner, photo),
  ])
  if (record === 'not-found') return 'unfinished'
  if (record === 'damaged' || result === 'damaged') return 'unreadable'
  const files = await filesOf(storage, owner, photo)
  // Files stored together share one fsync of their folder. A power cut before it may leave result.json alone.
  const whole =
    result !== 'not-found' &&
    (result.state === 'failed' || result.thumbnails.every(each => files.has(thumbnailFile(each))))
  if (whole) {
    const job = jobOf(record)
    const answer = await queue.restore(job, { outcome: outcomeOf(job, result) })
    return answer === 'already' ? 'known' : 'restored'
  }
  if (!files.has('original')) return 'unfinished'
  if (Date.now() - photoTime(photo) > retentionMs) return 'too-old'
  const answer = await queue.enqueue(jobOf(record))
  if (answer === 'full') throw new Error('the queue is full: open it without a limit to rebuild it')
  if (answer !== 'queued') return 'known'
  account.accepted(record)
  return 'requeued'
}

/** dead → queued. The failed result is removed first; killed in between, the photo is still a dead letter. */
export async function replay(
  { storage, queue }: Pick<PhotoContext, 'storage' | 'queue'>,
  { owner, photo }: Pick<Job, 'owner' | 'photo'>,
): Promise<'queued' | 'unknown'> {
  await storage.delete(photoKey(owner, photo, 'result.json'))
  return queue.replay(photo)
}
