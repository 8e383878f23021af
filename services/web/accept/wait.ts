import { openDoorbell } from '@tintype/lib/doorbell.ts'
import { readResult } from '@tintype/lib/photo/find.ts'
import type { Owner, PhotoId, PhotoRecord } from '@tintype/lib/photo/record.ts'
import { type PhotoView, pending, photoViewOf, viewPhoto } from '../show/photo-view.ts'
import type { Web } from '../web.ts'

/** Interval of reading storage without an event, because events are only hints. */
const pollMs = 1_000

/**
 * The photo when it is ready or failed, or its state when the time is over or the signal aborts.
 * `accepted`: the record of a photo that was accepted just now. Nothing is read before its first event or poll.
 */
export async function settledWithin(
  web: Web,
  owner: Owner,
  id: PhotoId,
  accepted: PhotoRecord | undefined,
  seconds: number,
  signal: AbortSignal,
): Promise<PhotoView | 'not-found'> {
  const deadline = performance.now() + seconds * 1000
  const look = async () => {
    if (!accepted) return viewPhoto(web, owner, id)
    const result = await readResult(web.storage, owner, id)
    return photoViewOf(web, typeof result === 'string' ? { record: accepted } : { record: accepted, result })
  }
  const ended = openDoorbell()
  const unsubscribe = web.events.subscribe(owner, ({ photo, state }) => {
    if (photo === id && state !== 'queued' && state !== 'converting') ended.ring()
  })
  try {
    for (let known = accepted && pending(web, accepted, 'queued'); ; known = undefined) {
      const rings = ended.rings()
      const view = known ?? (await look())
      const over = view === 'not-found' || view.state === 'ready' || view.state === 'failed'
      const leftMs = deadline - performance.now()
      if (over || leftMs <= 0 || signal.aborted) return view
      await ended.wait(rings, Math.min(pollMs, leftMs), signal)
    }
  } finally {
    unsubscribe()
  }
}
