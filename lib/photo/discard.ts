import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../errors.ts'
import { countLimit, limits } from '../limits.ts'
import type { PhotoContext } from './find.ts'
import { type Owner, type PhotoId, photoPrefix } from './record.ts'
import { remove } from './remove.ts'

const discardMs = 500
let discarding = 0

/**
 * Removes an upload that was never acknowledged; the sweep removes what is left. It goes on behind the answer after
 * `discardMs`: storage that failed just now would delay the answer by a second deadline.
 */
export async function discard(context: PhotoContext, owner: Owner, photo: PhotoId, removed = removeFiles) {
  if (discarding >= limits.discards.value) return countLimit('discards')
  discarding++
  const removal = removed(context, owner, photo)
    .catch(error => context.log.error('photo.leftover', { photo, error: String(error) }))
    .finally(() => discarding--)
  await Promise.race([removal, sleep(discardMs, undefined, { ref: false })])
}

const removeFiles = ({ storage }: PhotoContext, owner: Owner, photo: PhotoId): Promise<void> =>
  storage.delete(photoPrefix(owner, photo))

const takeBackEveryMs = 1_000
/** Until the next sweep, which enqueues what is still there: its promise is then late, and its files stay. */
const takeBackTries = 3_600

/**
 * Removes an upload whose enqueue failed. The job may be in the queue all the same, when its connection broke after the
 * commit: without the tombstone a converter would find no files, and the promise would count as broken.
 */
export async function takeBack(context: PhotoContext, owner: Owner, photo: PhotoId): Promise<void> {
  for (let tries = 1; ; tries++)
    try {
      return await remove(context, { owner, photo })
    } catch (error) {
      if (errorCode(error) === 'ERR_QUEUE_CLOSED' || tries === takeBackTries) throw error
      await sleep(takeBackEveryMs, undefined, { ref: false })
    }
}
