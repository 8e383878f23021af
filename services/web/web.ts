import type { Queue } from '@tintype/lib/queue/index.ts'
import type { Storage } from '@tintype/lib/storage/index.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Admission } from './admission.ts'
import type { Delivery } from './deliver.ts'
import type { Events } from './events.ts'

export type Limits = {
  maxUploadBytes: number
  maxPixels: number
  promiseSeconds: number
  uploadsPerMinute: number
}

/** What the routes of one web process share; opened by main.ts. */
export type Web = {
  storage: Storage
  queue: Queue
  log: Log
  metrics: Metrics
  limits: Limits
  admission: Admission
  events: Events
  delivery: Delivery
  /** Whoever sends it in `Tintype-Probe` uploads a probe's photo. */
  probeToken: string
  sessionSecret: string
  /** A stop has begun: no new uploads, event streams end. */
  draining: AbortSignal
}
