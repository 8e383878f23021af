import { adminApp } from '@tintype/lib/http/admin.ts'
import { json } from '@tintype/lib/http/request-body.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Express } from 'express'
import { watchdogName } from '../alerts/rules.ts'
import type { Watch } from './watch.ts'

/** The part of Alertmanager's webhook (version 4) that is read. */
type Webhook = { alerts?: unknown }
type Received = { status?: string; labels?: Record<string, string> } | null

/** slo's administration port, which is never public: the routes of every service and the receiver of SloWatchdog. */
export const createAdmin = (options: {
  metrics: Metrics
  log: Log
  watch: Watch
  stalled: () => string | null
  /** Labels of our own watchdog: that of another namespace may arrive while ours does not. */
  selectors: Readonly<Record<string, string>>
}): Express =>
  adminApp({
    ...options,
    notReady: () => null,
    routes: app =>
      app.post('/alerts', json('adminBytes'), (request, response) => {
        const { alerts } = (request.body ?? {}) as Webhook
        const received: Received[] = Array.isArray(alerts) ? alerts : []
        const wanted = Object.entries({ alertname: watchdogName, ...options.selectors })
        const isOurs = (each: Received) => wanted.every(([name, value]) => each?.labels?.[name] === value)
        if (received.some(each => each?.status === 'firing' && isOurs(each))) options.watch.receiveWatchdog()
        response.status(204).end()
      }),
  })
