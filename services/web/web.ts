import type { OtherPages } from '@tintype/lib/page/other-pages.ts'
import type { PhotoContext } from '@tintype/lib/photo/find.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Config } from '@tintype/lib/variables.ts'
import { openAdmission } from './accept/admission.ts'
import { openEvents } from './events/events.ts'
import { openDelivery } from './show/deliver.ts'

export type WebConfig = Config<
  | 'KEEP_DEAD_LETTERS_DAYS'
  | 'KEEP_KEYS_DAYS'
  | 'KEEP_PHOTOS_DAYS'
  | 'MAX_PIXELS'
  | 'MAX_UPLOAD_BYTES'
  | 'PROMISE_SECONDS'
  | 'UPLOADS_PER_MINUTE'
>

/** What main.ts opens and reads from the environment. */
export type WebOptions = PhotoContext & {
  metrics: Metrics
  config: WebConfig
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
  admission: openAdmission(options.queue, options.config.PROMISE_SECONDS),
  events: openEvents(options.queue, options.log, options.stopped),
  delivery: openDelivery(options.metrics, options.queue.now),
})
