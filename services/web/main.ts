import { listen } from '@tintype/lib/http/listen.ts'
import { runPhotoService } from '@tintype/lib/photo/run-photo-service.ts'
import { startPulse } from '@tintype/lib/repeat.ts'
import { createWebApp } from './app.ts'
import { watchDependencies } from './health.ts'
import { sweep } from './sweeper.ts'
import { openWeb, webVariables } from './web.ts'

await runPhotoService('web', process.env, webVariables, async (parts, config) => {
  const [draining, stopped] = [new AbortController(), new AbortController()]
  const web = openWeb({ ...parts, config, draining: draining.signal, stopped: stopped.signal })
  const dependencies = watchDependencies(web)
  const listening = await listen(createWebApp(web), config.HOST, config.WEB_PORT, process.connected)
  const sweeping = startPulse('the sweep of overdue promises')
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
})
