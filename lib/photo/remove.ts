import type { House } from './find.ts'
import { type Owner, type PhotoId, photoPrefix, sessionOf } from './record.ts'

/**
 * any → removed. First in the queue, whose tombstone refuses every later enqueue of the photo, then in storage. After a
 * kill in between, `buryTombstones` continues.
 */
export async function remove(
  house: House,
  { owner, photo, traceparent }: { owner: Owner; photo: PhotoId; traceparent?: string | undefined },
): Promise<void> {
  const { marked } = await house.queue.remove(photo, owner)
  house.account.settled({ photo, owner, ...(traceparent !== undefined && { traceparent }) }, marked)
  await bury(house, owner, photo)
}

async function bury({ storage, queue, log }: House, owner: Owner, photo: PhotoId): Promise<void> {
  await storage.delete(photoPrefix(owner, photo))
  await queue.bury(photo)
  log.info('photo.deleted', { photo }, sessionOf(owner))
}

const maxPass = 100

/** Finishes deletions that a crash interrupted. */
export async function buryTombstones(house: House): Promise<void> {
  for (const { photo, owner } of await house.queue.tombstones(maxPass)) await bury(house, owner, photo)
}
