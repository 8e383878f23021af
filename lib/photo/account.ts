import type { Span } from '@opentelemetry/api'
import type { Job, Marked } from '../queue/index.ts'
import { attributes } from '../telemetry/catalogue.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { recordSpan } from '../telemetry/trace.ts'
import { type Owner, type PhotoId, type PhotoRecord, sessionOf } from './record.ts'

/** The one place where what became of a photo is counted, logged and traced; each fact by the process that made it so. */
export type Account = {
  /** The photo entered the queue: it is a promise now. */
  accepted(record: PhotoRecord): void
  /** A promise got its outcome; null says that the call gave none. `span` carries it, else one of its own. */
  settled(photo: Pick<Job, 'photo' | 'owner' | 'traceparent'>, marked: Marked, span?: Span): void
}

export const openAccount = (metrics: Metrics, log: Log): Account => ({
  accepted(record) {
    const { id: photo, owner, format, bytes, width, height, receiveSeconds, probe } = record
    metrics.increment('tintype_photos_total', { outcome: 'accepted' })
    const payload = { photo, format, bytes, width, height, receiveSeconds, ...(probe && { probe }) }
    log.info('photo.accepted', payload, sessionOf(owner))
  },
  settled({ photo, owner, traceparent }, marked, span) {
    if (marked === null) return
    metrics.increment('tintype_promises_total', { outcome: marked })
    log.info(`promise.${marked}`, { photo }, sessionOf(owner))
    if (span) return void span.setAttribute(attributes.outcome, marked)
    const now = Date.now()
    const more = { [attributes.outcome]: marked }
    recordSpan('deliver', {
      parent: traceparent,
      startTime: now,
      endTime: now,
      attributes: spanAttributes(photo, owner, more),
    })
  },
})

/** What each span of a photo says. */
export const spanAttributes = (
  photo: PhotoId,
  owner: Owner,
  more: Record<string, string | number> = {},
): Record<string, string | number> => ({
  [attributes.photo]: photo,
  [attributes.session]: sessionOf(owner),
  ...more,
})
