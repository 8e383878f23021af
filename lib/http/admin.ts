import type { Express } from 'express'
import { finishRoutes, Problem, plainApp } from '../http.ts'
import { type Level, levels } from '../telemetry/catalogue.ts'
import { isSession } from '../telemetry/entry.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { refuseRebound } from './rebinding.ts'
import { json } from './request-body.ts'

const maxRaiseSeconds = 86_400

/**
 * Metrics, health and administration, for a port of their own.
 * `notReady`: why this process must get no requests, or null. `dependencies`: the state of what it shares with other
 * processes; /readyz shows it and does not fail because of it. `stalled`: the loop that makes no progress, or null; the
 * event loop and the log are always checked. `routes` adds the routes of one service.
 */
export function adminApp(options: {
  metrics: Metrics
  log: Log
  notReady: () => string | null
  dependencies?: () => Promise<Record<string, string>>
  stalled?: () => string | null
  routes?: (app: Express) => void
}): Express {
  const { metrics, log, notReady, dependencies, stalled, routes } = options
  metrics.onScrape(() => metrics.set('tintype_log_unshipped_bytes', {}, log.unshipped()))
  const app = plainApp().use(refuseRebound)
  app.get('/metrics', async (request, response) => {
    const { contentType, body } = await metrics.render(request.get('accept'))
    response.set('Content-Type', contentType).send(body)
  })
  app.get('/livez', (_request, response) => {
    const wrong = log.stalled() ?? stalled?.() ?? null
    response
      .status(wrong === null ? 200 : 503)
      .type('text')
      .send(`${wrong ?? 'ok'}\n`)
  })
  app.get('/readyz', async (_request, response) => {
    const reason = notReady()
    const shared = dependencies && { dependencies: await dependencies() }
    response
      .status(reason === null ? 200 : 503)
      .json({ ready: reason === null, ...(reason !== null && { reason }), ...shared })
  })
  app.get('/log-level', (_request, response) => void response.json(log.level()))
  app.put('/log-level', json('adminBytes'), (request, response) => {
    log.setLevel(parseLevelChange(request.body))
    response.json(log.level())
  })
  routes?.(app)
  finishRoutes(app, options)
  return app
}

function parseLevelChange(body: unknown): { level: Level; session?: string; forSeconds: number } {
  const { level: given, session: named, forSeconds = 600, ...more } = (body ?? {}) as Record<string, unknown>
  const level = levels.find(each => each === String(given).toLowerCase())
  const [unknown] = Object.keys(more)
  if (unknown)
    throw new Problem(400, 'unknown-member', `${unknown} is not one of level, session and forSeconds.`)
  if (!level) throw new Problem(400, 'bad-log-level', `level must be one of ${levels.join(', ')}.`)
  // GET shows a change for all sessions as null.
  const session = named === null || named === undefined ? undefined : String(named).toLowerCase()
  if (session !== undefined && !isSession(session))
    throw new Problem(400, 'bad-session', 'session must be the 16 hex digits that log entries carry.')
  if (typeof forSeconds !== 'number' || !(forSeconds > 0 && forSeconds <= maxRaiseSeconds))
    throw new Problem(400, 'bad-duration', `forSeconds must be a number above 0, up to ${maxRaiseSeconds}.`)
  return { level, forSeconds, ...(session !== undefined && { session }) }
}
