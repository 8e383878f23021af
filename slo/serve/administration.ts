import { adminApp } from '@tintype/lib/http/admin.ts'
import { json } from '@tintype/lib/http/request-body.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Express } from 'express'
import { watchdogName } from '../alerts/rules.ts'
import type { Watch } from './watch.ts'

/** What is read of Alertmanager's webhook, version 4, if it is one. */
type Webhook = { alerts?: unknown } | null
type Received = { status?: string; labels?: { alertname?: string } } | null

/** Administration of slo: what every service has, and where Alertmanager sends SloWatchdog. Never public. */
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
        const { alerts } = (request.body ?? {}) as NonNullable<Webhook>
        const received: Received[] = Array.isArray(alerts) ? alerts : []
        if (received.some(each => each?.status === 'firing' && each.labels?.alertname === watchdogName))
          options.watch.receiveWatchdog()
        response.status(204).end()
      }),
  })
