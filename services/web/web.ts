import type { Queue } from '@tintype/lib/queue/index.ts'
import type { Storage } from '@tintype/lib/storage/index.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { type Admission, openAdmission } from './admission.ts'
import { type Delivery, openDelivery } from './deliver.ts'
import { type Events, openEvents } from './events.ts'

export type Limits = {
  maxUploadBytes: number
  maxPixels: number
  promiseSeconds: number
  uploadsPerMinute: number
}

/** What main.ts opens and reads for it. */
export type Given = {
  storage: Storage
  queue: Queue
  log: Log
  metrics: Metrics
  limits: Limits
  /** Whoever sends it in `Tintype-Probe` uploads a probe's photo. */
  probeToken: string
  sessionSecret: string
  /** A stop has begun: no new uploads, event streams end. */
  draining: AbortSignal
  /** Nothing is under way any more. */
  stopped: AbortSignal
}

/** What the routes of one web process share. */
export type Web = Given & { admission: Admission; events: Events; delivery: Delivery }

export const openWeb = (given: Given): Web => ({
  ...given,
  admission: openAdmission(given.queue, given.limits.promiseSeconds),
  events: openEvents(given.queue, given.log, given.stopped),
  delivery: openDelivery(given.metrics),
})
