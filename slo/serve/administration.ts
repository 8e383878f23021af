import { adminApp } from '@tintype/lib/http/admin.ts'
import { json } from '@tintype/lib/http/request-body.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Express } from 'express'
import { watchdogName } from '../alerts/rules.ts'
import type { Watch } from './watch.ts'

/** The part of Alertmanager's webhook (version 4) that is read. */
type Webhook = { alerts?: unknown }
type Received = { status?: string; labels?: { alertname?: string } } | null

/** slo's administration port, which is never public: the routes of every service and the receiver of SloWatchdog. */
export const createAdmin = (options: {
  metrics: Metrics
  log: Log
  watch: Watch
  stalled: () => string | null
}): Express =>
  adminApp({
    ...options,
    notReady: () => null,
    routes: app =>
      app.post('/alerts', json('adminBytes'), (request, response) => {
        const { alerts } = (request.body ?? {}) as Webhook
        const received: Received[] = Array.isArray(alerts) ? alerts : []
        if (received.some(each => each?.status === 'firing' && each.labels?.alertname === watchdogName))
          options.watch.receiveWatchdog()
        response.status(204).end()
      }),
  })
