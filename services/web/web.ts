import type { Parts } from '@tintype/lib/photo/find.ts'
import { secret } from '@tintype/lib/secrets.ts'
import type { Config } from '@tintype/lib/variables.ts'
import { openAdmission } from './accept/admission.ts'
import { openEvents } from './events/events.ts'
import { openDelivery } from './show/deliver.ts'

/** The variables of web beside those of every photo service. */
export const webVariables = [
  'KEEP_DEAD_LETTERS_DAYS',
  'KEEP_KEYS_DAYS',
  'KEEP_PHOTOS_DAYS',
  'MAX_UPLOAD_BYTES',
  'PROBE_TOKEN',
  'PROMISE_SECONDS',
  'SESSION_SECRET',
  'SLO_URL',
  'UPLOADS_PER_MINUTE',
  'WEB_ADMIN_PORT',
  'WEB_PORT',
] as const
export type WebConfig = Config<(typeof webVariables)[number] | 'DATA_DIR' | 'MAX_PIXELS'>

/** What main.ts opens and reads from the environment. */
type WebOptions = Parts & {
  config: WebConfig
  /** Aborted when a stop begins: new uploads are refused and event streams end. */
  draining: AbortSignal
  /** Aborted when all requests have ended. */
  stopped: AbortSignal
}

/** The state that the routes of one web process share. */
export type Web = ReturnType<typeof openWeb>

export const openWeb = (options: WebOptions) => ({
  ...options,
  /** A request with this token in `Tintype-Probe` uploads a photo of slo's probe. */
  probeToken: secret('PROBE_TOKEN', options.config.PROBE_TOKEN, options.config.DATA_DIR),
  sessionSecret: secret('SESSION_SECRET', options.config.SESSION_SECRET, options.config.DATA_DIR),
  admission: openAdmission(options.queue, options.config.PROMISE_SECONDS),
  events: openEvents(options.queue, options.log, options.stopped),
  delivery: openDelivery(options.metrics, options.queue.now),
})
