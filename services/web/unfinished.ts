import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '@tintype/lib/errors.ts'
import { type Owner, type PhotoId, photoPrefix, photoTime, sessionOf } from '@tintype/lib/photo/record.ts'
import type { Web } from './web.ts'

/** A retry with its Idempotency-Key finishes an upload that was cut off, for so long. */
const finishableMs = 12 * 3_600_000
/** Then nothing can come of it; twice as long, so that no sweep meets a retry, nor an upload that is under way. */
const forgottenMs = 2 * finishableMs
const sweepEveryMs = 24 * 3_600_000

export const isFinishable = (photo: PhotoId): boolean => Date.now() - photoTime(photo) < finishableMs

/** Once a day, from the start: one walk over storage, a folder at a time. */
export async function sweepUnfinished(web: Web): Promise<void> {
  const signal = web.stopped
  while (!signal.aborted) {
    try {
      await removeUnfinished(web)
    } catch (error) {
      web.log.error('sweep.failed', { error: describeError(error) })
    }
    await sleep(sweepEveryMs, undefined, { signal }).catch(() => {})
  }
}

/**
 * Removes what a kill or a power cut left of uploads that nobody was told of: an original without photo.json, or the
 * other way round, that no queue knows.
 */
export async function removeUnfinished(web: Web): Promise<void> {
  for await (const { owner, photo, files } of photosOf(web)) {
    if (files.has('original') && files.has('photo.json')) continue
    if (Date.now() - photoTime(photo) < forgottenMs) continue
    if ((await web.queue.state(photo)) !== 'unknown') continue
    await web.storage.delete(photoPrefix(owner, photo))
    web.log.info('photo.forgotten', { photo }, sessionOf(owner))
  }
}

async function* photosOf({ storage, stopped }: Web) {
  let last: { owner: Owner; photo: PhotoId; files: Set<string> } | undefined
  for await (const key of storage.list('photos/')) {
    if (stopped.aborted) return
    const [, , owner = '', photo = '', file = ''] = key.split('/')
    if (last?.photo === photo) last.files.add(file)
    else {
      if (last) yield last
      last = { owner, photo, files: new Set([file]) }
    }
  }
  if (last) yield last
}
