import { isIP } from 'node:net'
import { json } from '@tintype/lib/http/request-body.ts'
import { Problem } from '@tintype/lib/http.ts'
import type { Express, Request, RequestHandler } from 'express'
import { program } from '../directory.ts'
import type { Diagnoser } from './diagnosis.ts'

/** What a proxy in front adds. */
const proxied = ['forwarded', 'via', 'x-forwarded-for']

/**
 * Whether it comes from this machine, or through a tunnel to it (ssh -L, kubectl port-forward). The name that was asked
 * for must be local too: else a page from elsewhere could have its own name lead here (DNS rebinding).
 */
export const isLocal = (request: Request): boolean =>
  isLoopback(request.socket.remoteAddress ?? '') &&
  isLoopback(request.hostname ?? '') &&
  !proxied.some(name => name in request.headers)

function isLoopback(host: string): boolean {
  const address = host.replace(/^\[(.*)\]$/, '$1').replace(/^::ffff:/, '')
  return host === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'))
}

/** Only requests of our own page: a form of another origin cannot send JSON, and its script sends `Origin`. */
const guard: RequestHandler = (request, _response, next) => {
  if (!isLocal(request))
    throw new Problem(403, 'not-local', `Only from this machine: ${program} diagnose --detail`)
  const { origin, host } = request.headers
  if (origin !== undefined && origin !== `http://${host}`)
    throw new Problem(403, 'other-origin', 'Only this service’s own page may ask.')
  if (!request.is('application/json')) throw new Problem(415, 'not-json', 'Send application/json.')
  next()
}

/** What the page’s two buttons do. The port is public: both are for requests from this machine alone. */
export function addActions(app: Express, diagnosis: Diagnoser): void {
  app.post('/api/diagnosis', guard, async (_request, response) => {
    const why = await diagnosis.look(Date.now())
    if (why !== null) throw new Problem(502, 'no-verdict', `There is no verdict: ${why}`)
    response.status(204).end()
  })
  app.post('/api/detail', guard, json('jsonBytes'), async (request, response) => {
    // The stage that the page showed: the verdict may have changed since.
    const raised = await diagnosis.raise(String(request.body?.stage)).catch(error => {
      throw new Problem(502, 'not-raised', `The service did not answer: ${error.message}`)
    })
    if (!raised) throw new Problem(400, 'no-stage', 'stage must be one that diagnose names.')
    response.json({ ...raised, until: new Date(raised.until).toISOString() })
  })
}
