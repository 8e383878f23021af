import { listen } from '@tintype/lib/http/listen.ts'
import { runPhotoService } from '@tintype/lib/photo/run-photo-service.ts'
import { startPulse } from '@tintype/lib/pulse.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { createWebApp } from './app.ts'
import { watchDependencies } from './health.ts'
import { sweep } from './sweeper.ts'
import { warnOfOtherSecret } from './visitors/session.ts'
import { openWeb } from './web.ts'

/** Much longer than the sweep's interval (1 s) and its slowest call of the queue (5 s). */
const stalledSeconds = 60

await runPhotoService(
  'web',
  process.env,
  [
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
  ],
  async (parts, config) => {
    const [draining, stopped] = [new AbortController(), new AbortController()]
    const web = openWeb({
      ...parts,
      config,
      probeToken: secret('PROBE_TOKEN', config.PROBE_TOKEN, config.DATA_DIR),
      sessionSecret: secret('SESSION_SECRET', config.SESSION_SECRET, config.DATA_DIR),
      otherPages: { dataDir: config.DATA_DIR, sloUrl: config.SLO_URL },
      draining: draining.signal,
      stopped: stopped.signal,
    })
    // Storage that fails is reported by what needs it.
    void warnOfOtherSecret(web).catch(() => {})
    const dependencies = watchDependencies(web)
    const listening = await listen(createWebApp(web), config.HOST, config.WEB_PORT, process.connected)
    const sweeping = startPulse('the sweep of overdue promises', stalledSeconds)
    const swept = sweep(web, sweeping.beat)
    return {
      endpoints: { web: listening.url },
      adminPort: config.WEB_ADMIN_PORT,
      admin: {
        notReady: () => (draining.signal.aborted ? 'draining' : null),
        dependencies,
        stalled: sweeping.stalled,
      },
      async stop(graceMs) {
        draining.abort()
        await listening.close(graceMs)
        stopped.abort()
        await swept
      },
    }
  },
)
