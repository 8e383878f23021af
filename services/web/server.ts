import type { Server } from 'node:http'
import type { Express } from 'express'

/** A request's headers must be here by then. */
const headersTimeoutMs = 20_000
/** Longer than the idle time of load balancers (60 s), which otherwise reuse a connection that is just being closed. */
const keepAliveTimeoutMs = 65_000

/** What differs from Node's own settings on the public port. */
export function configureServer(server: Server, app: Express): void {
  server.headersTimeout = headersTimeoutMs
  server.keepAliveTimeout = keepAliveTimeoutMs
  // A whole upload may take as long as its line needs: upload.ts holds it to a minimal pace instead.
  server.requestTimeout = 0
  // By default Node invites the body at once; then a client would send 50 MB to hear 503.
  server.on('checkContinue', (request, response) => {
    const invitesItself = request.method === 'POST' && request.url?.split('?')[0] === '/photos'
    if (!invitesItself) response.writeContinue()
    app(request, response)
  })
}
