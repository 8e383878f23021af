import { openDoorbell } from '@tintype/lib/doorbell.ts'
import type { Owner, PhotoId, PhotoRecord } from '@tintype/lib/photo/record.ts'
import { type PhotoView, pending, viewPhoto } from '../show/photo-view.ts'
import type { Web } from '../web.ts'

const maxWaitSeconds = 60

/**
 * Seconds of `Prefer: wait=N` (RFC 7240), at most 60; 0 without it. Only the first `wait` of the list counts, and only
 * when it is a whole number.
 */
export function preferredWait(header = ''): number {
  const wait = header.split(',').find(each => /^\s*wait\s*([=;]|$)/i.test(each))
  return Math.min(maxWaitSeconds, Number(/^\s*wait\s*=\s*"?(\d+)"?\s*(;|$)/i.exec(wait ?? '')?.[1] ?? 0))
}

/** Interval of reading storage without an event, because an event is only a hint. */
const pollMs = 1_000

/**
 * The photo when it is ready or failed, or its state at the timeout or when the signal aborts. `accepted`: the record
 * of a new photo, which is not read before its first event or poll. While queue or storage is away, the last known
 * state stands: after an error the client would send the photo again.
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
  const ended = openDoorbell()
  const unsubscribe = web.events.subscribe(owner, ({ photo, state }) => {
    if (photo === id && state !== 'queued' && state !== 'converting') ended.ring()
  })
  try {
    let rings = ended.rings()
    let view = accepted ? pending(web, accepted, 'queued') : await viewPhoto(web, owner, id)
    for (;;) {
      const over = view === 'not-found' || view.state === 'ready' || view.state === 'failed'
      const leftMs = deadline - performance.now()
      if (over || leftMs <= 0 || signal.aborted) return view
      await ended.wait(rings, Math.min(pollMs, leftMs), signal)
      rings = ended.rings()
      view = await viewPhoto(web, owner, id).catch(() => view)
    }
  } finally {
    unsubscribe()
  }
}
