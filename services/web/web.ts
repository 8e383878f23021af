import type { OtherPages } from '@tintype/lib/page/other-pages.ts'
import type { PhotoContext } from '@tintype/lib/photo/find.ts'
import type { Ages } from '@tintype/lib/photo/sweep.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { openAdmission } from './accept/admission.ts'
import { openEvents } from './events/events.ts'
import { openDelivery } from './show/deliver.ts'

export type Limits = {
  maxUploadBytes: number
  maxPixels: number
  promiseSeconds: number
  uploadsPerMinute: number
}

/** What main.ts opens and reads from the environment. */
export type WebOptions = PhotoContext & {
  metrics: Metrics
  limits: Limits
  /** Ages at which photos, keys and dead letters are removed; Infinity keeps them. */
  keep: Ages & { deadLettersMs: number }
  /** A request with this token in `Tintype-Probe` uploads a photo of slo's probe. */
  probeToken: string
  sessionSecret: string
  otherPages: OtherPages
  /** Aborted when a stop begins: new uploads are refused and event streams end. */
  draining: AbortSignal
  /** Aborted when all requests have ended. */
  stopped: AbortSignal
}

/** The state that the routes of one web process share. */
export type Web = ReturnType<typeof openWeb>

export const openWeb = (options: WebOptions) => ({
  ...options,
  admission: openAdmission(options.queue, options.limits.promiseSeconds),
  events: openEvents(options.queue, options.log, options.stopped),
  delivery: openDelivery(options.metrics, options.queue.now),
})
