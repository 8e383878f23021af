import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Express } from 'express'
import { Problem, problemMessage, sendProblem } from '../http.ts'
import { limits } from '../limits.ts'
import { bracketed } from '../loopback.ts'
import { answerExpectations, watchConnections } from './connections.ts'
import { http } from './node-http.ts'

/** Longer than proxies keep an idle connection, Google's 600 s: a request on one that is being closed becomes a 502. */
const keepAliveTimeout = 620_000
/** How often Node checks for late headers. */
const connectionsCheckingInterval = 5_000

/**
 * Starts an app; port 0 is any free port. The connection of a client that stalls is closed (`stalledSeconds`).
 * `shared`: another process of this user may listen on the same port, so that it can take over; on Linux only.
 */
export async function listen(app: Express, host: string, port: number, shared = false) {
  const options = {
    headersTimeout: limits.headerSeconds.value * 1000,
    maxHeaderSize: limits.headerBytes.value,
    requestTimeout: 0, // connections.ts limits the rate instead, so that a large body on a slow line may take longer
    keepAliveTimeout,
    connectionsCheckingInterval,
    requireHostHeader: false, // Node's own 400 has no problem+json body
  }
  const server = http.createServer(options, (request, response) => {
    if (request.headersDistinct.host?.length !== 1 && request.httpVersion === '1.1')
      sendProblem(response, new Problem(400, 'bad-request', 'A request must have exactly one Host header.'))
    else app(request, response)
  })
  // A client may end its side after it sent its data (nc -N, a socket's `end(request)`) and still read the answer.
  // Without this property Node closes the connection, and the client of an accepted photo never learns of it.
  Object.assign(server, { httpAllowHalfOpen: true })
  const connections = watchConnections(server)
  answerExpectations(server)
  answerUnparsed(server)
  server.listen({ port, host, reusePort: shared && process.platform === 'linux' })
  await once(server, 'listening')
  const { port: actual } = server.address() as AddressInfo
  const url = `http://${bracketed(host)}:${actual}`
  return {
    url,
    server,
    /** Stops accepting, waits up to graceMs for requests in progress, then closes all connections. */
    async close(graceMs: number) {
      const closed = once(server, 'close')
      server.close()
      connections.cutIdle()
      const cut = setTimeout(() => server.closeAllConnections(), graceMs)
      await closed
      clearTimeout(cut)
      connections.stop()
    },
  }
}

/** How long a connection stays open to discard input after a request that could not be parsed was answered. */
const lingerMs = 2_000

/** Requests that Node's parser refuses never reach the app. They are answered with a problem on the raw socket. */
function answerUnparsed(server: Server): void {
  const exchanges = new WeakMap<Duplex, ServerResponse>()
  server.prependListener('request', (request, response) => exchanges.set(request.socket, response))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const last = exchanges.get(socket)
    // What follows a whole request is not its refusal: its photo may be accepted. The connection closes behind its answer.
    if (last?.req.complete && !last.writableFinished) {
      // Where the head was sent, Node would keep the connection, read no request on it, and answer 408 after 20 s.
      if (last.shouldKeepAlive) last.once('finish', () => last.req.socket.destroySoon())
      return void Object.assign(last, { shouldKeepAlive: false })
    }
    const answered = last?.headersSent && !last.req.complete
    const left = error.code === 'ECONNRESET' || error.code === 'HPE_INVALID_EOF_STATE' || !socket.writable
    if (answered || left) return void socket.destroy()
    const problem = unparsed[error.code ?? ''] ?? malformed
    socket.end(problemMessage(problem))
    // Closing with unread bytes resets the connection, and the client would lose the response.
    socket.resume()
    setTimeout(() => socket.destroy(), lingerMs).unref()
  })
}

const largeHeaders =
  'The request’s headers are over 16 KiB; send fewer or shorter ones. A browser sends fewer once its cookies of this host are deleted.'
const lateHeaders = 'The request’s headers did not arrive in time; send it again.'
const unparsed: Record<string, Problem> = {
  HPE_HEADER_OVERFLOW: new Problem(431, 'headers-too-large', largeHeaders, { limit: 'headerBytes' }),
  ERR_HTTP_REQUEST_TIMEOUT: new Problem(408, 'too-slow', lateHeaders, { limit: 'headerSeconds' }),
}
const malformed = new Problem(400, 'bad-request', 'This is not a well-formed HTTP request.')
