import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../errors.ts'
import { countLimit, limits } from '../limits.ts'
import type { PhotoRef } from '../queue/index.ts'
import { forEach } from '../repeat.ts'
import type { PhotoContext } from './find.ts'
import { type Owner, type PhotoId, photoPrefix, sessionOf } from './record.ts'

/**
 * any → removed, first in the queue, whose tombstone refuses every later enqueue of the photo, then in storage. After a
 * kill in between `buryTombstones` continues.
 */
export async function remove(context: PhotoContext, target: PhotoRef) {
  const { owner, photo } = target
  const { marked } = await context.queue.remove(photo, owner)
  context.account.settled(target, marked)
  await bury(context, owner, photo)
}

async function bury({ storage, queue, log }: PhotoContext, owner: Owner, photo: PhotoId): Promise<void> {
  await storage.delete(photoPrefix(owner, photo))
  await queue.bury(photo)
  log.info('photo.deleted', { photo }, sessionOf(owner))
}

const maxPass = 100

/** Finishes deletions that a crash interrupted. */
export async function buryTombstones(context: PhotoContext): Promise<void> {
  await forEach(await context.queue.tombstones(maxPass), ({ photo, owner }) => bury(context, owner, photo))
}

const discardMs = 500
let discarding = 0

/**
 * Removes an upload that was never acknowledged; the sweep removes what is left. After `discardMs` it resolves and the
 * removal goes on: storage that has just failed would delay the response by a second deadline.
 */
export async function discard(
  { log }: PhotoContext,
  { owner, photo }: PhotoRef,
  remove: () => Promise<unknown>,
) {
  if (discarding >= limits.discards.value) return countLimit('discards')
  discarding++
  const removal = remove()
    .catch(error => log.error('photo.leftover', { photo, error: String(error) }, sessionOf(owner)))
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
