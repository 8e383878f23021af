import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cached } from '@tintype/lib/cached.ts'
import { messageOf } from '@tintype/lib/errors.ts'
import { refuseRebound } from '@tintype/lib/http/rebinding.ts'
import { json } from '@tintype/lib/http/request-body.ts'
import { createApp, finishRoutes, Problem } from '@tintype/lib/http.ts'
import { isLoopback } from '@tintype/lib/loopback.ts'
import { otherPages } from '@tintype/lib/page/other-pages.ts'
import { openPages } from '@tintype/lib/page/pages.ts'
import { isRunning } from '@tintype/lib/process-name.ts'
import type { Express, Request, RequestHandler, Response } from 'express'
import { incidentNote } from '../diagnose/note.ts'
import { type Directory, program, runbookFolders } from '../directory.ts'
import { tightestFit } from '../math/budget.ts'
import { outageFormat, outageMinutes, parseOutage, replayOutage } from '../math/outage.ts'
import { isOver, maxPlannedMinutes, readablePlanned, readPlanned } from '../math/planned.ts'
import { parseTime, timeFormat, toMinute } from '../math/time.ts'
import type { FitAnswer, State, WhatIf } from '../page/api.ts'
import { type Source, SourceError } from '../sources/index.ts'
import type { Diagnoser } from './diagnosis.ts'
import { statusOf } from './public-status.ts'
import { createPublicWork, type Work } from './public-work.ts'
import { stagesOf } from './stage-times.ts'
import { stateOf } from './state.ts'
import { readUnderWay } from './under-way.ts'
import type { View } from './view.ts'
import type { Serving } from './watch.ts'

/** How far back stages are shown. The page's texts say three hours, too. */
const stagesMs = 3 * 3_600_000
/** How often the source is read for the public, for any number of requests. */
const readEveryMs = 5_000
/** A longer description could take long to compute. */
const maxOutageLength = 500
/** How often the state is computed for other machines. Many objectives take milliseconds. */
const stateEveryMs = 1_000

/**
 * The public port of slo: two pages and their JSON. Requests from other machines change nothing. `sloUrl`: where people
 * reach the pages.
 */
export function createSloApp(
  options: Serving & { diagnosis: Diagnoser; source: Source; sloUrl?: URL | null },
): Express {
  const { watch, diagnosis, source, directory, dataDir, sloUrl } = options
  const folder = fileURLToPath(new URL('../page', import.meta.url))
  const pages = openPages(folder, { title: directory.service.displayName, program })
  // The name that the operator gave the pages is no other site's: a proxy on this machine may pass it on to port 80.
  const app = createApp(options).use((request, response, next) =>
    request.headers.host === sloUrl?.host ? next() : refuseRebound(request, response, next),
  )
  app.get('/pages.json', otherPages({ dataDir, sloUrl: null, own: { status: 'status', objectives: '.' } }))
  app.get(...pages.assets)
  app.get('/', pages.html('index.html'))
  // Addresses in the page are relative to /status.
  const withoutSlash: RequestHandler = ({ path, url }, response, next) =>
    path.endsWith('/') ? response.redirect(301, `../status${url.slice(path.length)}`) : next()
  app.get('/status', withoutSlash, pages.html('status.html'))
  app.get('/docs/runbooks/:name', runbooks(directory))
  const stateAt = (views: readonly View[], now: number, seenMs = now) =>
    stateOf({ views, now, seenMs }, diagnosis, readablePlanned(dataDir), directory)
  const stateNow = () => stateAt(watch.views(), Date.now(), watch.seenAt())
  const stateForAll = cached(stateEveryMs, async () => stateNow())
  const { words } = directory.service
  const sendState = (request: Request, response: Response, state: ReturnType<typeof stateAt>): void =>
    void response.json({ ...state, program, words, mayAct: isLocal(request) } satisfies State)
  app.get('/api/state', async (request, response, next) => {
    if (request.query.at !== undefined) return next()
    // A person on this machine immediately sees the effect of a button.
    sendState(request, response, isLocal(request) ? stateNow() : await stateForAll())
  })
  const bounded = createPublicWork()
  const compute = (path: string, work: Work) => void app.get(path, bounded(work))
  compute('/api/state', async (request, response, pause) => {
    const at = parseTime(String(request.query.at), Date.now())
    if (at === undefined) throw new Problem(400, 'bad-time', `at must be ${timeFormat}.`)
    // A link in an alert may be opened before its minute was evaluated.
    if (watch.views().some(view => toMinute(at) >= view.at)) return sendState(request, response, stateNow())
    const views = await watch.viewsAt(toMinute(at), pause)
    const advice = `The pages show the last days only, from the first measurement on: ${program} report --at shows older ones.`
    if (views.length === 0) throw new Problem(404, 'not-kept', advice)
    sendState(request, response, stateAt(views, at))
  })
  addActions(app, diagnosis)
  compute('/note', async (_request, response, pause) => {
    const found = diagnosis.last()
    if (!found) throw new Problem(404, 'no-note', 'Nothing was looked into since slo started.')
    // An alert of that time may have ended since.
    const views = await watch.viewsAt(toMinute(found.at), pause)
    response.type('text').send(incidentNote({ ...found, atMs: found.at, directory, views }))
  })
  const stages = cached(readEveryMs, () => {
    const now = Date.now()
    const begunMs = (watch.views()[0]?.start ?? 0) * 60_000
    return stagesOf(directory.service, source, Math.max(now - stagesMs, begunMs), now).catch(error => {
      if (!(error instanceof SourceError)) throw error
      const headers = { 'Retry-After': '15' }
      throw new Problem(503, 'source-away', 'The measurements cannot be read now.', { headers })
    })
  })
  app.get('/api/stages', async (_request, response) => void response.json(await stages()))
  compute('/api/what-if', async ({ query }, response, pause) => {
    const outage = parseOutage(String(query.outage ?? '').slice(0, maxOutageLength))
    if (!outage) throw new Problem(400, 'bad-outage', `outage must be ${outageFormat}`)
    const alerts: WhatIf['alerts'] = []
    for (const objective of directory.objectives) {
      alerts.push(...replayOutage(objective, outage, 0))
      await pause()
    }
    response.json({ minutes: outageMinutes(outage), alerts } satisfies WhatIf)
  })
  compute('/api/fits', async ({ query }, response, pause) => {
    const minutes = Number(query.minutes)
    const now = Date.now()
    const from = toMinute(parseTime(String(query.at ?? 'now'), now) ?? NaN)
    const format = `minutes must be 1 to ${maxPlannedMinutes}, at ${timeFormat}, and end later than now.`
    const isMinutes = Number.isInteger(minutes) && minutes >= 1 && minutes <= maxPlannedMinutes
    if (!isMinutes || Number.isNaN(from) || isOver({ from, to: from + minutes }, now))
      throw new Problem(400, 'bad-maintenance', format)
    const slices = watch.views().filter(({ objective }) => objective.method === 'Timeslices')
    if (slices.length === 0) throw new Problem(404, 'not-begun', 'There is no budget in minutes yet.')
    const { fits, leftAfter } = await tightestFit(slices, readPlanned(dataDir), { from, minutes }, pause)
    response.json({ fits, leftAfter } satisfies FitAnswer)
  })
  app.get('/api/release', (_request, response) => {
    const release = readUnderWay(dataDir)
    response.json(release && isRunning(release.process) ? release : null)
  })
  app.get('/status.json', (_request, response) => {
    const now = statusOf(watch.views(), watch.seenAt())
    if (!now) throw new Problem(404, 'not-begun', 'Nothing is measured yet.')
    response.json(now)
  })
  finishRoutes(app, options)
  return app
}

const proxied = ['forwarded', 'via', 'x-forwarded-for']

/**
 * Whether a request comes from this machine or through a tunnel to it (ssh -L, kubectl port-forward). Its Host must be
 * local, too: another site could make its own name point here (DNS rebinding).
 */
const isLocal = (request: Request): boolean =>
  isLoopback(request.socket.remoteAddress ?? '') &&
  isLoopback(request.hostname ?? '') &&
  !proxied.some(name => name in request.headers)

/** Lets only requests of slo's own page pass: a form of another origin cannot send JSON, and a script sends Origin. */
const guard: RequestHandler = (request, _response, next) => {
  if (!isLocal(request))
    throw new Problem(403, 'not-local', `Allowed only from this machine: ${program} diagnose --detail`)
  const { origin, host } = request.headers
  if (origin !== undefined && origin !== `http://${host}`)
    throw new Problem(403, 'other-origin', 'Only slo’s own page may send this request.')
  if (!request.is('application/json')) throw new Problem(415, 'not-json', 'Send application/json.')
  next()
}

/** The actions of the page's two buttons. The port is public, so both are allowed from this machine only. */
function addActions(app: Express, diagnosis: Diagnoser): void {
  app.post('/api/diagnosis', guard, async (_request, response) => {
    const why = await diagnosis.look()
    if (why !== null) throw new Problem(502, 'no-verdict', `There is no verdict: ${why}`)
    response.status(204).end()
  })
  app.post('/api/detail', guard, json('jsonBytes'), async (request, response) => {
    // The stage that the page showed. The verdict may have changed since.
    const raised = await diagnosis.raise(String(request.body?.stage)).catch(error => {
      throw new Problem(502, 'not-raised', `The service did not answer: ${messageOf(error)}`)
    })
    if (!raised) throw new Problem(400, 'no-stage', 'stage must be one that diagnose names.')
    response.json({ ...raised, until: new Date(raised.until).toISOString() })
  })
}

/** Runbooks are sent as plain text, because a browser would download Markdown. */
const textHeaders = { 'Content-Type': 'text/plain; charset=utf-8', Vary: 'Accept-Language' }
const asText = { headers: textHeaders, acceptRanges: false }

/**
 * `GET /docs/runbooks/:name`: objectives and alerts name their runbook relative to the pages. A translation in
 * ../ko/runbooks is sent for `?lang=ko` and to browsers that prefer Korean.
 */
function runbooks(directory: Directory): RequestHandler<{ name: string }> {
  const folders = runbookFolders(directory)
  const translated = folders.flatMap(each => [resolve(each, '../ko/runbooks'), each])
  return (request, response, next) => {
    const isKorean = (request.query.lang ?? request.acceptsLanguages('en', 'ko')) === 'ko'
    const sendFrom = ([root, ...rest]: string[]): void => {
      if (root === undefined) next()
      else response.sendFile(request.params.name, { ...asText, root }, missing => missing && sendFrom(rest))
    }
    sendFrom(isKorean ? translated : folders)
  }
}
