import { jobOf, type PhotoRef, retentionMs } from '../queue/index.ts'
import { openSteadyClock } from '../steady-clock.ts'
import { filesOf, type PhotoContext, readRecord, readResult } from './find.ts'
import { type Owner, type PhotoId, photoKey, photoTime, reasonFor, thumbnailFile } from './record.ts'
import { failed, outcomeOf, putResult } from './settle.ts'

const clock = openSteadyClock()
/** The time by which ages are judged: the earlier of this clock and the queue's. One that is ahead would expire all photos. */
export const believedNow = ({ queue }: Pick<PhotoContext, 'queue'>): number =>
  Math.min(clock.believed(), queue.now())
export const ageOf = (context: Pick<PhotoContext, 'queue'>, photo: PhotoId): number =>
  believedNow(context) - photoTime(photo)
/** Whether the queue may have forgotten that a photo was deleted: it keeps ids for 8 days. */
export const mayBeDeleted = (context: Pick<PhotoContext, 'queue'>, photo: PhotoId): boolean =>
  ageOf(context, photo) > retentionMs

export type Finished = Awaited<ReturnType<typeof finish>>

/** A photo unknown to the queue: stored → queued with its promise, or → done by its result, not counted again. */
export async function finish(context: Omit<PhotoContext, 'log'>, owner: Owner, photo: PhotoId) {
  const { storage, queue, account } = context
  const [record, result] = await Promise.all([
    readRecord(storage, owner, photo),
    readResult(storage, owner, photo),
  ])
  if (record === 'not-found') return 'unfinished'
  if (record === 'damaged' || result === 'damaged') return 'unreadable'
  const files = await filesOf(storage, owner, photo)
  // A photo that has lost a thumbnail since, as by a backup that is not whole, is converted again.
  const whole =
    result !== 'not-found' &&
    (result.state === 'failed' || result.thumbnails.every(each => files.has(thumbnailFile(each))))
  const job = jobOf(record)
  if (whole) return queue.restore(job, outcomeOf(job, result))
  // A power cut before the 202 can leave it without its original.
  if (!files.has('original') || record.refused) return 'unfinished'
  if (mayBeDeleted({ queue }, photo)) {
    await putResult(storage, job, failed(job, reasonFor('storage'), queue.now()))
    return 'too-old'
  }
  const answer = await queue.enqueue(job)
  if (answer === 'full') throw new Error('the queue is full: open it without a limit to rebuild it')
  if (answer !== 'queued') return 'known'
  account.accepted(record)
  return 'requeued'
}

/** dead → queued. The failed result is removed first: after a kill in between the photo is still a dead letter. */
export async function replay(context: Pick<PhotoContext, 'storage' | 'queue'>, { owner, photo }: PhotoRef) {
  await context.storage.delete(photoKey(owner, photo, 'result.json'))
  return context.queue.replay(photo)
}
