import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { trace } from '@opentelemetry/api'
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express'
import { describeError } from './errors.ts'
import { type Level, levels } from './telemetry/levels.ts'
import type { Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** An expected answer that is no success: rendered as application/problem+json (RFC 9457). */
export class Problem extends Error {
  override name = 'Problem'
  readonly status: number
  readonly type: string
  readonly members: Record<string, unknown>
  readonly headers: Record<string, string>
  /** `type` is what a program matches, `detail` what a person can act on. */
  constructor(
    status: number,
    type: string,
    detail: string,
    more: { members?: Record<string, unknown>; headers?: Record<string, string> } = {},
  ) {
    super(detail)
    this.status = status
    this.type = type
    this.members = more.members ?? {}
    this.headers = more.headers ?? {}
  }
}

const titles: Record<number, string> = {
  400: 'Bad request',
  404: 'Not found',
  408: 'Too slow',
  409: 'Conflict',
  410: 'Gone',
  413: 'Too large',
  415: 'Unsupported type',
  422: 'Cannot be processed',
  429: 'Too many requests',
  431: 'Headers too large',
  500: 'Internal error',
  503: 'Unavailable',
}

const problemType = 'application/problem+json'

const problemBody = (problem: Problem): string =>
  JSON.stringify({
    type: `/problems/${problem.type}`,
    title: titles[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.message,
    ...problem.members,
  })

export function sendProblem(response: Response, problem: Problem): void {
  response.status(problem.status).set(problem.headers).type(problemType).send(problemBody(problem))
}

/** The Express app every service builds on: no identifying header, request id, duration histogram. Add routes, then `finish`. */
export function createApp(telemetry: { metrics: Metrics }): Express {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  app.use(measure(telemetry.metrics))
  return app
}

/** Last in an app: unknown paths are 404, every error is a problem, and what we did not expect is in the log. */
export function finish(app: Express, { log }: { log: Log }): void {
  app.use((request: Request) => {
    throw new Problem(404, 'not-found', `There is nothing at ${request.path}.`)
  })
  const onError: ErrorRequestHandler = (error, request, response, _next) => {
    const problem = error instanceof Problem ? error : fromFramework(error)
    if (problem.status >= 500 && !(error instanceof Problem)) {
      log.error('request.failed', {
        requestId: response.locals.requestId,
        method: request.method,
        error: describeError(error),
      })
    }
    if (response.headersSent) response.destroy()
    else sendProblem(response, problem)
  }
  app.use(onError)
}

function fromFramework(error: { status?: number; expose?: boolean; message?: string }): Problem {
  const status = error.status ?? 500
  return status < 500
    ? new Problem(status, 'bad-request', error.message ?? 'The request could not be read.')
    : new Problem(500, 'internal', 'Something went wrong on our side. The log says what; try again.')
}

const measure =
  (metrics: Metrics): RequestHandler =>
  (request, response, next) => {
    const start = performance.now()
    // Asked for now: when a client has gone the request has no socket to tell it by, and asking would throw.
    const scheme = request.protocol
    response.locals.startedAt = start
    response.locals.requestId = randomUUID()
    response.set('X-Request-Id', response.locals.requestId)
    response.once('close', () => {
      const labels = {
        http_request_method: knownMethods.has(request.method) ? request.method : '_OTHER',
        http_route: request.route ? `${request.baseUrl}${request.route.path}` : '',
        http_response_status_code: String(response.statusCode),
        url_scheme: scheme,
      }
      const traceId = trace.getActiveSpan()?.spanContext().traceId
      metrics.observe(
        'http_server_request_duration_seconds',
        labels,
        (performance.now() - start) / 1000,
        traceId,
      )
    })
    next()
  }

const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])

/** How long a log level may stay raised. */
const maxRaiseSeconds = 86_400

/**
 * Metrics, health and administration, for a port of their own. `ready` gives what is missing, or null; `live` what
 * stands still although it should move, beside what every process has: its event loop, which answers, and its log.
 */
export function adminApp(options: {
  metrics: Metrics
  log: Log
  ready: () => string | null | Promise<string | null>
  live?: () => string | null
}): Express {
  const { metrics, log, ready, live } = options
  const app = express()
  app.disable('x-powered-by')
  app.get('/metrics', async (request, response) => {
    const { contentType, body } = await metrics.render(request.get('accept'))
    response.set('Content-Type', contentType).send(body)
  })
  const answer = (response: Response, wrong: string | null) =>
    response
      .status(wrong === null ? 200 : 503)
      .type('text')
      .send(`${wrong ?? 'ok'}\n`)
  app.get('/livez', (_request, response) => void answer(response, log.stalled() ?? live?.() ?? null))
  app.get('/readyz', async (_request, response) => void answer(response, await ready()))
  app.get('/log-level', (_request, response) => void response.json(log.level()))
  app.put('/log-level', express.json({ limit: '4kb' }), (request, response) => {
    log.setLevel(parseLevelChange(request.body))
    response.json(log.level())
  })
  finish(app, { log })
  return app
}

function parseLevelChange(body: unknown): { level: Level; session?: string; forSeconds: number } {
  const { level, session, forSeconds = 600 } = (body ?? {}) as Record<string, unknown>
  if (!levels.includes(level as Level))
    throw new Problem(400, 'bad-log-level', `level must be one of ${levels.join(', ')}.`)
  if (session !== undefined && !/^[0-9a-f]{16}$/.test(String(session)))
    throw new Problem(400, 'bad-session', 'session must be the 16 hex digits that log entries carry.')
  if (typeof forSeconds !== 'number' || !(forSeconds > 0 && forSeconds <= maxRaiseSeconds))
    throw new Problem(400, 'bad-duration', `forSeconds must be a number above 0, up to ${maxRaiseSeconds}.`)
  return { level: level as Level, forSeconds, ...(session === undefined ? {} : { session: String(session) }) }
}

export type Listening = {
  url: string
  server: Server /** Stops accepting, waits up to graceMs for requests in flight, then cuts. */
  close(graceMs: number): Promise<void>
}

const idleCheckMs = 50

/** Starts an app; port 0 is any free port. */
export async function listen(app: Express, host: string, port: number): Promise<Listening> {
  const server = createServer(app)
  answerUnparsed(server)
  server.listen(port, host)
  await once(server, 'listening')
  const { port: actual } = server.address() as AddressInfo
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${actual}`
  return {
    url,
    server,
    async close(graceMs) {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      // A connection that was busy is kept alive when its answer is out: it would hold up the close until its time is over.
      const idle = setInterval(() => server.closeIdleConnections(), idleCheckMs)
      const cut = setTimeout(() => server.closeAllConnections(), graceMs)
      await closed
      clearInterval(idle)
      clearTimeout(cut)
    },
  }
}

/** After an answer to a request that could not be parsed, how long the rest of what the client sends is dropped. */
const lingerMs = 2_000

/** What Node's parser refuses never reaches the app: it is answered as a problem on the bare socket. */
function answerUnparsed(server: Server): void {
  const exchanges = new WeakMap<Duplex, ServerResponse>()
  server.prependListener('request', (request, response) => exchanges.set(request.socket, response))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const last = exchanges.get(socket)
    const answered = last?.headersSent && !last.req.complete
    const left = error.code === 'ECONNRESET' || error.code === 'HPE_INVALID_EOF_STATE' || !socket.writable
    if (answered || left) return void socket.destroy()
    const problem = unparsed(error.code)
    const body = problemBody(problem)
    socket.end(
      `HTTP/1.1 ${problem.status} ${titles[problem.status]}\r\nContent-Type: ${problemType}\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    )
    // Closing with unread bytes resets the connection, and the client loses the answer.
    socket.resume()
    setTimeout(() => socket.destroy(), lingerMs).unref()
  })
}

function unparsed(code: string | undefined): Problem {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new Problem(431, 'headers-too-large', 'The request’s headers are over 16 KiB.')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new Problem(408, 'too-slow', 'The request did not arrive in time.')
  return new Problem(400, 'bad-request', 'This is not a well-formed HTTP request.')
}
