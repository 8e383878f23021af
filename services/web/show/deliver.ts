import { setBounded } from '@tintype/lib/bounded.ts'
import { spanAttributes } from '@tintype/lib/photo/account.ts'
import type { PhotoId, PhotoRecord } from '@tintype/lib/photo/record.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { recordSpan, traceIdOf } from '@tintype/lib/telemetry/trace.ts'

/** The longest accepted time of `/experience`, because a browser's clock can be wrong. */
export const maxExperienceSeconds = 3_600

/**
 * Measures the stages after the promise. `deliver` runs from the durable thumbnail until its bytes were first sent to a
 * waiting user, who had an open event stream or had requested the photo before. A user who returns a day later is not
 * measured as a slow delivery. Waiting users are held in memory: a restart loses the measurements in progress.
 */
export function openDelivery(metrics: Metrics, now: () => number) {
  /** Kept after the delivery, so that a late event does not cause a second measurement. */
  const deliveries = new Map<PhotoId, 'expected' | 'sent'>()
  const experienced = new Map<PhotoId, true>()
  return {
    /** A user waits for this photo. */
    expect(photo: PhotoId): void {
      if (!deliveries.has(photo)) setBounded(deliveries, photo, 'expected')
    },
    /** The thumbnail's bytes were sent. */
    sent({ id, owner, traceparent }: PhotoRecord, durableAt: string): void {
      if (deliveries.get(id) !== 'expected') return
      setBounded(deliveries, id, 'sent')
      const startTime = Date.parse(durableAt)
      const endTime = now()
      const attributes = spanAttributes(id, owner)
      recordSpan('deliver', { parent: traceparent, startTime, endTime, attributes })
      const seconds = Math.max(0, endTime - startTime) / 1000
      metrics.observe('tintype_stage_seconds', { stage: 'deliver' }, seconds, traceIdOf(traceparent))
    },
    /** The browser's time from click to thumbnail on screen, once a photo. */
    experienced(photo: PhotoId, seconds: number, traceId: string | undefined): void {
      if (experienced.has(photo)) return
      setBounded(experienced, photo, true)
      metrics.observe('tintype_stage_seconds', { stage: 'experience' }, seconds, traceId)
    },
  }
}
