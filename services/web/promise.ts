import { Problem } from '@tintype/lib/http.ts'
import { type PhotoId, type PhotoRecord, sessionOf } from '@tintype/lib/photo/record.ts'
import { type Job, jobOf, type Marked } from '@tintype/lib/queue/index.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { recordSpan } from '@tintype/lib/telemetry/trace.ts'
import type { Web } from './web.ts'

/** Where web counts: a photo when it enters the queue, a promise when web's call is the one that marked it. */

/** Until when the session's detail is raised, to travel with its photos. */
function detailEnd(log: Log, session: string): number | undefined {
  const raised = log
    .level()
    .raised.filter(each => each.level === 'debug' && (each.session === session || each.session === null))
  return raised.length === 0 ? undefined : Math.max(...raised.map(each => Date.parse(each.until)))
}

/**
 * Puts an accepted photo to work; counts and logs it if this call is the one that did.
 * @throws Problem 503 when the queue is full.
 */
export async function enqueue({ queue, metrics, log }: Web, record: PhotoRecord): Promise<void> {
  const detailUntil = detailEnd(log, sessionOf(record.owner))
  const answer = await queue.enqueue({ ...jobOf(record), ...(detailUntil !== undefined && { detailUntil }) })
  if (answer === 'full')
    throw new Problem(
      503,
      'busy',
      'So many photos are waiting that yours would be late. Try again in 60 s.',
      {
        headers: { 'Retry-After': '60' },
      },
    )
  if (answer === 'already') return
  const { id: photo, format, bytes, width, height, receiveSeconds, probe } = record
  metrics.increment('tintype_photos_total', { outcome: 'accepted' })
  const payload = { photo, format, bytes, width, height, receiveSeconds, ...(probe && { probe }) }
  log.info('photo.accepted', payload, sessionOf(record.owner))
}

/** Counts the outcome that a call of ours gave to a photo: metrics, log and trace each say it once. */
export function countOutcome(
  { metrics, log }: Web,
  photo: Pick<Job, 'photo' | 'owner' | 'traceparent'>,
  marked: Marked,
): void {
  if (marked === null) return
  const session = sessionOf(photo.owner)
  metrics.increment('tintype_promises_total', { outcome: marked })
  log.info(`promise.${marked}`, { photo: photo.photo }, session)
  const now = Date.now()
  recordSpan('deliver', {
    parent: photo.traceparent,
    startTime: now,
    endTime: now,
    attributes: spanAttributes(photo.photo, session, { [attributes.outcome]: marked }),
  })
}

export const spanAttributes = (
  photo: PhotoId,
  session: string,
  more: Record<string, string | number> = {},
) => ({
  [attributes.photo]: photo,
  [attributes.session]: session,
  ...more,
})
