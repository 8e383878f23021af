import { setBounded } from '@tintype/lib/limits.ts'
import { spanAttributes } from '@tintype/lib/photo/account.ts'
import type { PhotoId, PhotoRecord } from '@tintype/lib/photo/record.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { recordSpan, traceIdOf } from '@tintype/lib/telemetry/trace.ts'

/** The longest accepted time of `/experience`; a longer one comes from a wrong browser clock. */
export const maxExperienceSeconds = 3_600

/**
 * Measures the stages after the promise. `deliver` is the time from the durable thumbnail until its bytes were first
 * sent to a user who waited, with an open event stream or an earlier request of the photo: a return a day later is no
 * slow delivery. Waiting users are held in memory, so that a restart loses these measurements.
 */
export function openDelivery(metrics: Metrics, now: () => number) {
  /** Kept after the delivery, so that a late event does not cause a second measurement. */
  const deliveries = new Map<PhotoId, 'expected' | 'sent'>()
  const experienced = new Map<PhotoId, true>()
  return {
    /** Notes that a user waits for this photo. */
    expect(photo: PhotoId): void {
      if (!deliveries.has(photo)) setBounded(deliveries, photo, 'expected')
    },
    /** Records that the thumbnail's bytes were sent. */
    sent({ id, owner, traceparent }: PhotoRecord, durableAt: string): void {
      if (deliveries.get(id) !== 'expected') return
      setBounded(deliveries, id, 'sent')
      const startTime = Date.parse(durableAt)
      const endTime = Math.max(startTime, now()) // the converter's clock may be ahead
      const attributes = spanAttributes(id, owner)
      recordSpan('deliver', { parent: traceparent, startTime, endTime, attributes })
      const seconds = (endTime - startTime) / 1000
      metrics.observe('tintype_stage_seconds', { stage: 'deliver' }, seconds, traceIdOf(traceparent))
    },
    /** Records the browser's time from click to thumbnail on screen, once a photo. */
    experienced(photo: PhotoId, seconds: number, traceId: string | undefined): void {
      if (experienced.has(photo)) return
      setBounded(experienced, photo, true)
      metrics.observe('tintype_stage_seconds', { stage: 'experience' }, seconds, traceId)
    },
  }
}
