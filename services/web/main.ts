import { daysMs, readConfig } from '@tintype/lib/config.ts'
import { adminApp } from '@tintype/lib/http/admin.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import { startPulse } from '@tintype/lib/pulse.ts'
import { open as openQueue, queueUrl } from '@tintype/lib/queue/index.ts'
import { type Running, run } from '@tintype/lib/run.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { foldersOf, open as openStorage, storageUrl } from '@tintype/lib/storage/index.ts'
import { observeQueue } from '@tintype/lib/telemetry/calls.ts'
import { leaveMetrics } from '@tintype/lib/telemetry/last-metrics.ts'
import { logVariables, openLog } from '@tintype/lib/telemetry/log.ts'
import { watchMachine } from '@tintype/lib/telemetry/machine.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { pick } from '@tintype/lib/variables.ts'
import { createWebApp } from './app.ts'
import { observeStorage } from './detail.ts'
import { watchDependencies } from './health.ts'
import { sweep } from './sweeper.ts'
import { openWeb } from './web.ts'

const used = pick(
  ...logVariables,
  'ADMIN_HOST',
  'GRACE_SECONDS',
  'KEEP_DEAD_LETTERS_DAYS',
  'KEEP_KEYS_DAYS',
  'KEEP_PHOTOS_DAYS',
  'MAX_PIXELS',
  'MAX_UPLOAD_BYTES',
  'PROBE_TOKEN',
  'PROMISE_SECONDS',
  'QUEUE_ACCEPT_LOSS',
  'QUEUE_URL',
  'SESSION_SECRET',
  'SLO_URL',
  'STORAGE_URL',
  'UPLOADS_PER_MINUTE',
  'VERSION',
  'WEB_ADMIN_PORT',
  'WEB_PORT',
)

let graceMs = 0
/** The sweep calls the queue each second, and a call ends within 5 s, if only with an error. */
const stalledSeconds = 60

async function start(): Promise<Running> {
  const config = readConfig(process.env, used)
  graceMs = config.GRACE_SECONDS * 1000
  const log = openLog('web', config)
  const metrics = createMetrics('web', config.VERSION)
  const queueAt = queueUrl(config.QUEUE_URL, config.DATA_DIR)
  const queue = await openQueue(queueAt, {
    observe: observeQueue(metrics, queueAt),
    acceptLoss: config.QUEUE_ACCEPT_LOSS,
    version: config.VERSION,
  })
  const at = storageUrl(config.STORAGE_URL, config.DATA_DIR)
  const storage = await openStorage(at, {
    observe: observeStorage(metrics, log),
  })
  const draining = new AbortController()
  const stopped = new AbortController()
  const web = openWeb({
    storage,
    queue,
    log,
    metrics,
    limits: {
      maxUploadBytes: config.MAX_UPLOAD_BYTES,
      maxPixels: config.MAX_PIXELS,
      promiseSeconds: config.PROMISE_SECONDS,
      uploadsPerMinute: config.UPLOADS_PER_MINUTE,
    },
    keep: {
      photosMs: daysMs(config.KEEP_PHOTOS_DAYS),
      keysMs: daysMs(config.KEEP_KEYS_DAYS),
      deadLettersMs: daysMs(config.KEEP_DEAD_LETTERS_DAYS),
    },
    probeToken: secret('PROBE_TOKEN', config.PROBE_TOKEN, config.DATA_DIR),
    sessionSecret: secret('SESSION_SECRET', config.SESSION_SECRET, config.DATA_DIR),
    otherPages: { dataDir: config.DATA_DIR, sloUrl: config.SLO_URL },
    draining: draining.signal,
    stopped: stopped.signal,
  })
  const dependencies = watchDependencies(web)
  watchMachine(metrics, [config.DATA_DIR, ...foldersOf(at)])
  const listening = await listen(createWebApp(web), config.HOST, config.WEB_PORT, process.connected)
  const sweeping = startPulse('the sweep of overdue promises', stalledSeconds)
  const admin = await listen(
    adminApp({
      metrics,
      log,
      notReady: () => (draining.signal.aborted ? 'draining' : null),
      dependencies,
      stalled: sweeping.stalled,
    }),
    config.ADMIN_HOST,
    config.WEB_ADMIN_PORT,
  )
  const swept = sweep(web, sweeping.beat)
  log.info('web.started', { version: config.VERSION })
  return {
    endpoints: { web: listening.url, webAdmin: admin.url },
    async stop() {
      log.info('web.stopping', {})
      draining.abort()
      await listening.close(graceMs)
      stopped.abort()
      await swept
      await leaveMetrics(metrics, 'web', config)
      await admin.close(0)
      await queue.close()
      await storage.close()
      await log.close()
    },
  }
}

await run(start, () => graceMs)
