import type { Span } from '@opentelemetry/api'
import type { Marked, PhotoRef } from '../queue/index.ts'
import { currentRequest } from '../telemetry/calls.ts'
import { attributes } from '../telemetry/catalogue.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { recordSpan, traceIdOf, traceparentOf } from '../telemetry/trace.ts'
import { type Owner, type PhotoId, type PhotoRecord, sessionOf } from './record.ts'

export type Account = ReturnType<typeof openAccount>

/** Counts, logs and traces the outcomes of photos. Only the process that caused an outcome records it. */
export const openAccount = (metrics: Metrics, log: Log) => ({
  /** The photo was enqueued and is now a promise. */
  accepted(record: PhotoRecord): void {
    const { id: photo, owner, format, bytes, receiveSeconds, probe } = record
    metrics.increment('tintype_photos_total', { outcome: 'accepted' })
    const { requestId } = currentRequest.getStore() ?? {}
    const payload = { photo, format, bytes, receiveSeconds, ...(probe && { probe }), requestId }
    log.info('photo.accepted', payload, sessionOf(owner))
  },
  /** Records the outcome of a promise, on `span` or on a new span. Null means that the call gave none. */
  settled({ photo, owner, traceparent }: PhotoRef, marked: Marked, span?: Span): void {
    if (marked === null) return
    metrics.increment('tintype_promises_total', { outcome: marked })
    span?.setAttribute(attributes.outcome, marked)
    const now = Date.now()
    const about = { ...spanAttributes(photo, owner), [attributes.outcome]: marked }
    const within = span
      ? traceparentOf(span)
      : recordSpan('deliver', { parent: traceparent, startTime: now, endTime: now, attributes: about })
    // Without this the traces would seem to lack each photo that a sampler leaves out.
    const sampled = within && !traceIdOf(within) && { traced: false }
    // At any LOG_LEVEL: slo compares its counts with these entries.
    log.info(`promise.${marked}`, { photo, ...sampled }, sessionOf(owner), true)
  },
})

export const spanAttributes = (photo: PhotoId, owner: Owner) => ({
  [attributes.photo]: photo,
  [attributes.session]: sessionOf(owner),
})
