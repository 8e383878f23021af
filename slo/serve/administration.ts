import { adminApp } from '@tintype/lib/http/admin.ts'
import { json } from '@tintype/lib/http/request-body.ts'
import { Problem } from '@tintype/lib/http.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Express } from 'express'
import { watchdogName } from '../alerts/rules.ts'
import { addPlanned, readPlanned, removePlanned } from '../math/planned.ts'
import type { Watch } from './watch.ts'

/** What is read of Alertmanager's webhook, version 4, if it is one. */
type Webhook = { alerts?: unknown }
type Received = { status?: string; labels?: { alertname?: string } } | null

/** Administration of slo: what every service has, where Alertmanager sends SloWatchdog, and planned downtime. Never public. */
export function createAdmin(options: {
  metrics: Metrics
  log: Log
  watch: Watch
  dataDir: string
  notReady: () => string | null
  stalled: () => string | null
}): Express {
  return adminApp({ ...options, routes: app => addRoutes(app, options) })
}

function addRoutes(app: Express, { watch, dataDir, log }: { watch: Watch; dataDir: string; log: Log }): void {
  app.post('/alerts', json('adminBytes'), (request, response) => {
    const { alerts } = (request.body ?? {}) as Webhook
    const received: Received[] = Array.isArray(alerts) ? alerts : []
    if (received.some(each => each?.status === 'firing' && each.labels?.alertname === watchdogName))
      watch.receiveWatchdog()
    response.status(204).end()
  })
  app.get('/planned', (_request, response) => void response.json(readPlanned(dataDir)))
  app.post('/planned', json('adminBytes'), (request, response) => {
    const { at, minutes, reason = '' } = (request.body ?? {}) as Record<string, unknown>
    const from = Math.floor(Date.parse(String(at)) / 60_000)
    try {
      const planned = addPlanned(dataDir, {
        from,
        to: from + Number(minutes),
        reason: String(reason).slice(0, 200),
      })
      log.info('downtime.planned', planned)
      response.status(201).json(planned)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new Problem(400, 'bad-downtime', `Give at (a time), minutes and reason: ${error.message}.`)
    }
  })
  app.delete('/planned/:id', (request, response) => {
    removePlanned(dataDir, request.params.id)
    response.status(204).end()
  })
}
