import { spanAttributes } from '@tintype/lib/photo/account.ts'
import type { PhotoId, PhotoRecord } from '@tintype/lib/photo/record.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { recordSpan, traceIdOf } from '@tintype/lib/telemetry/trace.ts'
import { remember } from '../visitors/bounded.ts'

/** The browser's own clock may be anything; no person watches one photo longer. */
export const maxExperienceSeconds = 3_600

/**
 * The stages after the promise. `deliver` runs from the durable thumbnail until its bytes were first sent to a
 * person who was there for it: had an open event stream when it was told, or had asked for it before. Whoever left
 * and comes back a day later is no slow delivery, so those are not measured. Remembered a process, bounded: a
 * restart loses the measurements under way, never invents one.
 */
export type Delivery = {
  /** Somebody is there for this photo. */
  expect(photo: PhotoId): void
  /** The thumbnail's bytes were sent. */
  sent(record: PhotoRecord, durableAt: string): void
  /** The browser's click to thumbnail on screen; once a photo, false for a second time. */
  experienced(photo: PhotoId, seconds: number, traceId: string | undefined): boolean
}

export function openDelivery(metrics: Metrics, now: () => number): Delivery {
  /** Kept after the delivery, so that an event that comes late does not make the next look a second one. */
  const deliveries = new Map<PhotoId, 'expected' | 'sent'>()
  const experienced = new Map<PhotoId, true>()
  return {
    expect(photo) {
      if (!deliveries.has(photo)) remember(deliveries, photo, 'expected')
    },
    sent({ id, owner, traceparent }, durableAt) {
      if (deliveries.get(id) !== 'expected') return
      remember(deliveries, id, 'sent')
      const startTime = Date.parse(durableAt)
      const endTime = now()
      recordSpan('deliver', {
        parent: traceparent,
        startTime,
        endTime,
        attributes: spanAttributes(id, owner),
      })
      const seconds = Math.max(0, endTime - startTime) / 1000
      metrics.observe('tintype_stage_seconds', { stage: 'deliver' }, seconds, traceIdOf(traceparent))
    },
    experienced(photo, seconds, traceId) {
      if (experienced.has(photo)) return false
      remember(experienced, photo, true)
      metrics.observe('tintype_stage_seconds', { stage: 'experience' }, seconds, traceId)
      return true
    },
  }
}
