import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../errors.ts'
import { countLimit, limits } from '../limits.ts'
import type { PhotoContext } from './find.ts'
import type { PhotoId } from './record.ts'

const discardMs = 500
let discarding = 0

/**
 * Removes an upload that was never acknowledged; the sweep removes what is left. After `discardMs` it resolves and the
 * removal goes on: storage that has just failed would delay the response by a second deadline.
 */
export async function discard({ log }: PhotoContext, photo: PhotoId, remove: () => Promise<unknown>) {
  if (discarding >= limits.discards.value) return countLimit('discards')
  discarding++
  const removal = remove()
    .catch(error => log.error('photo.leftover', { photo, error: String(error) }))
    .finally(() => discarding--)
  await Promise.race([removal, sleep(discardMs, undefined, { ref: false })])
}

const retryMs = 1_000
/** One hour, until the next sweep. The sweep enqueues the photo if it is still there: its promise is then late. */
const maxTries = 3_600

/** Repeats a step until queue and storage answer. */
export async function untilAnswered(step: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++)
    try {
      return void (await step())
    } catch (error) {
      if (errorCode(error) === 'ERR_QUEUE_CLOSED' || tries === maxTries) throw error
      await sleep(retryMs, undefined, { ref: false })
    }
}
