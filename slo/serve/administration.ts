import { adminApp } from '@tintype/lib/http/admin.ts'
import { json } from '@tintype/lib/http/request-body.ts'
import type { Express } from 'express'
import { watchdogName } from '../alerts/rules.ts'
import type { Serving } from './watch.ts'

/** The part of an alert in Alertmanager's webhook (version 4) that is read. */
type Received = { status?: string; labels?: Record<string, string> } | null

/** slo's administration port, which is never public: the routes of every service and the receiver of SloWatchdog. */
export function createAdmin(options: Serving & { stalled: () => string | null }): Express {
  const { log, watch, directory } = options
  const isWatchdog = (each: Received) => each?.labels?.alertname === watchdogName
  // That of another namespace may arrive while ours does not.
  const isOurs = (each: Received) =>
    Object.entries(directory.service.selectors).every(([name, value]) => each?.labels?.[name] === value)
  return adminApp({
    ...options,
    notReady: () => null,
    routes: app => {
      app.delete('/alerts', (_request, response) => {
        watch.forgetWatchdog()
        response.status(204).end()
      })
      app.post('/alerts', json('adminBytes'), (request, response) => {
        const received: Received[] = Array.isArray(request.body?.alerts) ? request.body.alerts : []
        const firing = received.filter(each => each?.status === 'firing')
        if (firing.some(each => isWatchdog(each) && isOurs(each))) watch.receiveWatchdog()
        // Alertmanager counts them as sent and slo does not send them: they reach no person.
        const lost = firing.flatMap(each => (isWatchdog(each) ? [] : (each?.labels?.alertname ?? '?')))
        if (lost.length > 0) log.error('alerts.no-receiver', { alerts: [...new Set(lost)] })
        response.status(204).end()
      })
    },
  })
}
