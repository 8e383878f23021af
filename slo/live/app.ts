import { createApp, finish } from '@tintype/lib/http.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Express } from 'express'
import { readPlanned } from '../planned.ts'
import type { Source } from '../source/index.ts'
import { stateOf } from './state.ts'
import { readStatus } from './status.ts'
import type { Watch } from './watch.ts'

/** The public side of slo: two pages and the JSON they are drawn from. It changes nothing. */
export function createSloApp(options: {
  metrics: Metrics
  log: Log
  watch: Watch
  source: Source
  dataDir: string
}): Express {
  const { watch, source, dataDir, log } = options
  const app = createApp(options)
  app.get('/api/state', (_request, response) => {
    response.set('Cache-Control', 'no-store').json(stateOf(watch, readPlanned(dataDir)))
  })
  app.get('/status.json', async (_request, response) => {
    response.set('Cache-Control', 'no-store').json(await readStatus(watch, source))
  })
  finish(app, { log })
  return app
}
