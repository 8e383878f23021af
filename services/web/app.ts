import { json } from '@tintype/lib/http/request-body.ts'
import { createApp, finishRoutes, Problem } from '@tintype/lib/http.ts'
import { otherPages } from '@tintype/lib/page/other-pages.ts'
import { openPages } from '@tintype/lib/page/pages.ts'
import { isPhotoId } from '@tintype/lib/photo/record.ts'
import { remove as removePhoto } from '@tintype/lib/photo/remove.ts'
import { traceIdOf } from '@tintype/lib/telemetry/trace.ts'
import type { Express, Request, RequestHandler, Response } from 'express'
import { answerRefusal, postPhoto, refuseEarly } from './accept/post.ts'
import { eventStream } from './events/stream.ts'
import { openapi } from './openapi.ts'
import { maxExperienceSeconds } from './show/deliver.ts'
import { original, thumbnail } from './show/images.ts'
import { listPhotos, notFound, photoOf, photoViewOf } from './show/photo-view.ts'
import { isTrustedProxy } from './visitors/address.ts'
import { sessions, visitorOf } from './visitors/session.ts'
import type { Web } from './web.ts'

const photosPerPage = 50

type Handler = (web: Web, request: Request, response: Response) => Promise<void>

/** Every route of the public port. @throws when the page cannot be read. */
export function createWebApp(web: Web): Express {
  const pages = openPages(`${import.meta.dirname}/page`, web.config)
  const app = createApp(web)
  const by = (handle: Handler): RequestHandler => handle.bind(null, web)
  app.set('trust proxy', isTrustedProxy)
  app.get('/pages.json', otherPages({ dataDir: web.config.DATA_DIR, sloUrl: web.config.SLO_URL }))
  app.get(...pages.assets) // before the session, because cacheable assets must not set a cookie
  app.use(ownHeaders.bind(null, web), sessions(web))
  app.get('/', pages.html('index.html'))
  app.get('/openapi.json', (_request, response) => void response.json(openapi))
  app.post('/photos', refuseEarly(web), postPhoto(web), answerRefusal(web))
  app.get('/photos', by(list))
  app.get('/photos/:id', by(show))
  app.delete('/photos/:id', by(remove))
  app.get('/photos/:id/thumbnail', by(thumbnail))
  app.get('/photos/:id/original', by(original))
  app.get('/events', eventStream(web))
  app.post('/experience', json('jsonBytes', 'any'), by(experience))
  app.get('/status.json', by(status))
  finishRoutes(app, web)
  return app
}

/** `Date` is by the queue's clock, as a photo's times are: the page takes it for the present. */
function ownHeaders({ queue }: Web, _request: Request, response: Response, next: () => void): void {
  response.set({
    Date: new Date(queue.now()).toUTCString(),
    // In a tab that shows only the picture, Chromium centres it by inline styles.
    'Content-Security-Policy':
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
  })
  next()
}

async function list(web: Web, request: Request, response: Response): Promise<void> {
  const { after } = request.query
  if (after !== undefined && !(typeof after === 'string' && isPhotoId(after)))
    throw new Problem(400, 'bad-page', 'Use the address in `next` of the previous page, unchanged.')
  const { photos, next } = await listPhotos(web, visitorOf(response).owner, after, photosPerPage)
  response.json({ photos, next: next && `/photos?after=${next}` })
}

async function show(web: Web, request: Request, response: Response): Promise<void> {
  const view = await photoViewOf(web, await photoOf(web, response, request.params.id))
  if (view === 'not-found') throw notFound()
  if (view.state === 'queued' || view.state === 'converting') web.delivery.expect(view.id)
  response.json(view)
}

async function remove(web: Web, request: Request, response: Response): Promise<void> {
  const photo = await photoOf(web, response, request.params.id)
  if ((await photoViewOf(web, photo)) === 'not-found') throw notFound()
  const { owner, id, traceparent } = photo.record
  await removePhoto(web, { owner, photo: id, traceparent })
  response.status(204).end()
}

/** POST /experience: the browser's time from click to thumbnail on screen, counted once a photo. */
async function experience(web: Web, request: Request, response: Response): Promise<void> {
  const { photo: id, seconds } = (request.body ?? {}) as { photo?: unknown; seconds?: unknown }
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= maxExperienceSeconds))
    throw new Problem(400, 'bad-experience', `seconds must be a number from 0 to ${maxExperienceSeconds}.`)
  const { record } = await photoOf(web, response, id)
  web.delivery.experienced(record.id, seconds, traceIdOf(record.traceparent))
  response.status(204).end()
}

/** GET /status.json: the status that slo wrote, unchanged. */
async function status(web: Web, _request: Request, response: Response): Promise<void> {
  const written = await web.storage.read('status.json')
  if (written === 'not-found')
    throw new Problem(404, 'no-status', 'slo has not computed a status yet. Try again in a minute.')
  response.type('json').send(written)
}
