import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from 'express'
import { errorCode } from './errors.ts'
import { http } from './http/node-http.ts'
import { countLimit, type LimitName } from './limits.ts'
import { loadLight } from './telemetry/load-light.ts'
import type { Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { endRequest, inSpan, startRequest, traceId } from './telemetry/trace.ts'

export const { default: express } = await loadLight(() => import('express'))

/** `limit` is counted as reached when the problem is sent. */
type More = { members?: Record<string, unknown>; headers?: Record<string, string>; limit?: LimitName }

/** An expected error response, sent as application/problem+json (RFC 9457). */
export class Problem extends Error {
  override name = 'Problem'
  readonly status: number
  readonly type: string
  readonly more: More
  /** Programs match `type`; `detail` says what a person can do. */
  constructor(status: number, type: string, detail: string, more: More = {}) {
    super(detail)
    this.status = status
    this.type = type
    this.more = more
  }
}

/** A temporary problem: `what` failed, and the client may try again after `seconds`. */
export const tryAgain = (status: number, type: string, what: string, seconds: number, limit?: LimitName) =>
  new Problem(status, type, `${what} Try again in ${seconds} s.`, {
    headers: { 'Retry-After': String(seconds) },
    ...(limit && { limit }),
  })

const problemType = 'application/problem+json'

function problemBody({ type, status, message: detail, more: { members, limit } }: Problem): string {
  if (limit) countLimit(limit)
  return JSON.stringify({
    type: `/problems/${type}`,
    title: http.STATUS_CODES[status],
    status,
    detail,
    ...members,
  })
}

/** Headers of the intended response that a problem must not carry. */
const ofTheAnswer = ['Content-Disposition', 'Content-Encoding', 'ETag', 'Last-Modified']

/** Sends a problem instead of the intended response. Caches must not store it. */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  const body = problemBody(problem)
  for (const name of ofTheAnswer) response.removeHeader(name)
  const headers = {
    'Cache-Control': 'no-store',
    ...problem.more.headers,
    'Content-Type': problemType,
    'Content-Length': Buffer.byteLength(body),
  }
  response.writeHead(problem.status, headers).end(body)
}

/** A problem as a whole HTTP message, for a socket whose request could not be parsed. */
export function problemMessage(problem: Problem): string {
  const body = problemBody(problem)
  return (
    `HTTP/1.1 ${problem.status} ${http.STATUS_CODES[problem.status]}\r\nContent-Type: ${problemType}\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
  )
}

/** An Express app whose answers are not kept by caches, unless a route says for how long. */
export function plainApp(): Express {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  app.use((_request, response, next) => {
    response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
    next()
  })
  return app
}

/** The Express app of every service, with request ids and duration histogram. Add routes, then call finishRoutes. */
export const createApp = (telemetry: { metrics: Metrics; log: Log }): Express =>
  plainApp().use(measure(telemetry))

/** Call it last: it answers 404 and 405, makes every error a problem, and logs unexpected ones. */
export function finishRoutes(app: Express, { log }: { log: Log }): void {
  for (const [path, methods] of methodsByPath(app)) app.route(path).all(refuseOthers(methods))
  app.use((request: Request, response: Response) => {
    // Asks what the whole server can do, as load balancers do to check it (RFC 9110).
    if (request.method === 'OPTIONS' && request.url === '*') return void response.status(204).end()
    throw new Problem(404, 'not-found', `There is nothing at ${request.path}.`)
  })
  const onError: ErrorRequestHandler = (error, request, response, _next) => {
    if (hasLeft(request)) return void response.destroy()
    const problem = error instanceof Problem ? error : fromFramework(error)
    const { requestId, session } = response.locals
    if (problem.status >= 500 && !(error instanceof Problem)) {
      const about = { requestId, method: request.method, route: request.route?.path ?? '' }
      log.error('request.failed', { ...about, error }, session)
    }
    if (response.headersSent) response.destroy()
    else sendProblem(response, problem)
  }
  app.use(onError)
}

function methodsByPath(app: Express): [path: string, methods: Set<string>][] {
  const routes = app.router.stack.flatMap(({ route }) => route ?? [])
  return [...Map.groupBy(routes, ({ path }) => path)].map(([path, same]) => {
    const methods = same.flatMap(({ stack }) => stack.map(({ method }) => method.toUpperCase()))
    return [path, new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods)]
  })
}

const refuseOthers =
  (methods: Set<string>): RequestHandler =>
  (request, response, next) => {
    const { method } = request
    if (methods.has(method)) return next()
    request.route = undefined // measured with the unknown addresses, or each method would add series to each route
    const headers = { Allow: [...methods].join(', ') }
    if (method === 'OPTIONS') return void response.status(204).set(headers).end()
    throw new Problem(405, 'method-not-allowed', `This address allows ${headers.Allow}.`, { headers })
  }

/** `https` when a trusted proxy says so. Without the header Express would parse the client's address in vain. */
export const schemeOf = (request: Request): 'http' | 'https' =>
  'x-forwarded-proto' in request.headers && request.protocol.toLowerCase() === 'https' ? 'https' : 'http'

/** Whether the client disconnected before its whole request was read, so that no response can reach it. */
export const hasLeft = (request: Request): boolean =>
  request.errored !== null || (request.destroyed && !request.complete)

/** Whether a response is an event stream. The server never ends one; it lasts until its client disconnects. */
export const isEventStream = (response: ServerResponse | undefined): boolean =>
  String(response?.getHeader('Content-Type')).startsWith('text/event-stream')

/** Aborted when the connection of a response is closed. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  if (response.closed) controller.abort()
  else response.once('close', () => controller.abort())
  return controller.signal
}

function fromFramework(error: { status?: number; expose?: boolean; message?: string }): Problem {
  const status = error.status ?? 500
  if (status < 500)
    return new Problem(status, 'bad-request', error.message ?? 'The request could not be read.')
  const what = 'What this address needs, such as the disk, storage or queue, is not available.'
  // Errors with a code come from the system, queue or storage, and may be temporary.
  if (errorCode(error) !== undefined) return tryAgain(503, 'unavailable', what, 5)
  const detail = 'An unexpected error, which is our fault. Try again; the log has the details.'
  return new Problem(500, 'internal', detail)
}

/** Paths whose requests get no span: otherwise each shipped batch and each file of a page would be a trace. */
const untraced = /^\/(streams|assets)\b/

/** Counts, times, traces and logs requests. No label value comes from the client: each new value would add a series. */
const measure =
  ({ metrics, log }: { metrics: Metrics; log: Log }): RequestHandler =>
  (request, response, next) => {
    const start = performance.now()
    // `//photos` comes from a proxy that removes its prefix but not the slash behind it, as nginx's `location /tintype`.
    request.url = request.url.replace(/^\/+/, '/')
    const scheme = schemeOf(request)
    const method = knownMethods.has(request.method) ? request.method : '_OTHER'
    // Without dashes it is one word, which the log's search takes.
    const requestId = randomUUID().replaceAll('-', '')
    Object.assign(response.locals, { startedAt: start, requestId })
    response.set('X-Request-Id', requestId)
    const about = { 'http.request.method': method, 'url.path': request.path, 'url.scheme': scheme }
    const span = untraced.test(request.path) ? undefined : startRequest(request.headers, about)
    const within = (act: () => void) => (span ? inSpan(span, act) : act())
    const end = () => {
      const finished = response.writableFinished
      const route = request.route?.path ?? ''
      const seconds = (performance.now() - start) / 1000
      const level = isEventStream(response) ? 'debug' : 'info'
      if (!finished)
        log[level]('request.aborted', { requestId, method, route, seconds }, response.locals.session)
      const labels = {
        http_request_method: method,
        http_route: route,
        http_response_status_code: finished ? String(response.statusCode) : 'aborted',
        url_scheme: scheme,
      }
      metrics.observe('http_server_request_duration_seconds', labels, seconds, traceId())
      if (span) endRequest(span, method, route, response.headersSent ? response.statusCode : undefined)
    }
    // In an event handler of the response no span is active.
    response.once('close', () => within(end))
    within(next)
  }

const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
