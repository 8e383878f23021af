import { type Listening, listen } from '@tintype/lib/http.ts'
import { createWebApp } from './app.ts'
import type { Web } from './web.ts'

/** A request's headers must be here by then. */
const headersTimeoutMs = 20_000
/** Longer than the idle time of load balancers (60 s), which otherwise reuse a connection that is just being closed. */
const keepAliveTimeoutMs = 65_000

/** Serves the public port; what differs from Node's own settings is here. */
export async function serve(web: Web, host: string, port: number): Promise<Listening> {
  const listening = await listen(createWebApp(web), host, port)
  const { server } = listening
  server.headersTimeout = headersTimeoutMs
  server.keepAliveTimeout = keepAliveTimeoutMs
  // A whole upload may take as long as its line needs: upload.ts holds it to a minimal pace instead.
  server.requestTimeout = 0
  // By default Node invites the body at once; then a client would send 50 MB to hear 503.
  server.on('checkContinue', (request, response) => {
    const invitesItself = request.method === 'POST' && request.url?.split('?')[0] === '/photos'
    if (!invitesItself) response.writeContinue()
    server.emit('request', request, response)
  })
  return listening
}
