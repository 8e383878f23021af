import { adminApp } from '@tintype/lib/http/admin.ts'
import { json } from '@tintype/lib/http/body.ts'
import { Problem } from '@tintype/lib/http.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Express } from 'express'
import type { Alert } from '../alerts/notifier.ts'
import { watchdogName } from '../alerts/rules.ts'
import { addPlanned, readPlanned, removePlanned } from '../math/planned.ts'
import type { Watch } from './watch.ts'

/** What is read of Alertmanager's webhook, version 4. */
type Webhook = {
  alerts?: {
    status: 'firing' | 'resolved'
    labels: Record<string, string>
    annotations?: Record<string, string>
    startsAt: string
  }[]
}

/** Administration of slo: what every service has, Alertmanager's door, and planned downtime. Never public. */
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
    const { alerts = [] } = (request.body ?? {}) as Webhook
    const firing = alerts.filter(({ status }) => status === 'firing')
    if (firing.some(({ labels }) => labels.alertname === watchdogName)) watch.heardWatchdog()
    const known = alerts.filter(({ labels }) => labels.alertname !== watchdogName).map(toAlert)
    if (known.length > 0)
      watch.report(known, firing.filter(({ labels }) => labels.alertname !== watchdogName).map(toAlert))
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

/** The generated rules carry the objective's name and the tier, so both evaluators speak of one alert. */
function toAlert({ labels, annotations = {}, startsAt }: NonNullable<Webhook['alerts']>[number]): Alert {
  return {
    group: labels.objective ?? labels.group ?? labels.alertname ?? 'unnamed',
    name: labels.tier ?? labels.alertname ?? 'unnamed',
    severity: labels.severity === 'page' ? 'page' : 'ticket',
    since: Date.parse(startsAt) || Date.now(),
    text: [annotations.summary ?? labels.alertname, annotations.description].filter(Boolean).join('. '),
    diagnosis: null,
    runbook: annotations.runbook_url ?? '',
  }
}
