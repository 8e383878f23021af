import { json } from '@tintype/lib/http/request-body.ts'
import { Problem } from '@tintype/lib/http.ts'
import { isLoopback } from '@tintype/lib/loopback.ts'
import type { Express, Request, RequestHandler } from 'express'
import { program } from '../directory.ts'
import type { Diagnoser } from './diagnosis.ts'

const proxied = ['forwarded', 'via', 'x-forwarded-for']

/**
 * Whether a request comes from this machine or through a tunnel to it (ssh -L, kubectl port-forward). Its Host must be
 * local, too: another site could make its own name point here (DNS rebinding).
 */
export const isLocal = (request: Request): boolean =>
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
export function addActions(app: Express, diagnosis: Diagnoser): void {
  app.post('/api/diagnosis', guard, async (_request, response) => {
    const why = await diagnosis.look(Date.now())
    if (why !== null) throw new Problem(502, 'no-verdict', `There is no verdict: ${why}`)
    response.status(204).end()
  })
  app.post('/api/detail', guard, json('jsonBytes'), async (request, response) => {
    // The stage that the page showed. The verdict may have changed since.
    const raised = await diagnosis.raise(String(request.body?.stage)).catch(error => {
      throw new Problem(502, 'not-raised', `The service did not answer: ${error.message}`)
    })
    if (!raised) throw new Problem(400, 'no-stage', 'stage must be one that diagnose names.')
    response.json({ ...raised, until: new Date(raised.until).toISOString() })
  })
}
