import type { Job } from '../queue/index.ts'
import type { PhotoContext } from './find.ts'
import { type Owner, type PhotoId, photoPrefix, sessionOf } from './record.ts'

/**
 * any → removed, first in the queue, whose tombstone refuses every later enqueue of the photo, then in storage. After a
 * kill in between `buryTombstones` continues.
 */
export async function remove(context: PhotoContext, target: Pick<Job, 'owner' | 'photo' | 'traceparent'>) {
  const { owner, photo } = target
  const { marked } = await context.queue.remove(photo, owner)
  context.account.settled(target, marked)
  await bury(context, owner, photo)
}

export async function bury(
  { storage, queue, log }: PhotoContext,
  owner: Owner,
  photo: PhotoId,
): Promise<void> {
  await storage.delete(photoPrefix(owner, photo))
  await queue.bury(photo)
  log.info('photo.deleted', { photo }, sessionOf(owner))
}

const maxPass = 100

/** Finishes deletions that a crash interrupted. */
export async function buryTombstones(context: PhotoContext): Promise<void> {
  for (const { photo, owner } of await context.queue.tombstones(maxPass)) await bury(context, owner, photo)
}
