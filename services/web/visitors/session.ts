import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { schemeOf } from '@tintype/lib/http.ts'
import { type Owner, ownerOf, sessionOf } from '@tintype/lib/photo/record.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { describeSpan } from '@tintype/lib/telemetry/trace.ts'
import type { RequestHandler, Response } from 'express'
import { currentSession } from '../detail.ts'
import type { WebOptions } from '../web.ts'

const cookieName = 'tintype_session'
/**
 * A second cookie of a page that is opened by http: browsers neither send the Secure cookie of an earlier visit by https
 * there nor let http replace it, and each request would begin a session.
 */
const httpCookieName = `${cookieName}_http`
/** 400 days, the longest time that browsers keep a cookie. */
const maxAgeSeconds = 400 * 86_400

/** The visitor of a request, set by `sessions` for all later routes. */
export type Visitor = {
  owner: Owner
  /** sessionOf(owner), for logs and traces. */
  session: string
  /** False without a valid session cookie. */
  returning: boolean
}

export const visitorOf = (response: Response): Visitor => response.locals.visitor

/**
 * Verifies the session cookie, or begins a new session when there is no valid one. The cookie is signed (id.HMAC), so
 * no session store is needed.
 */
export function sessions({ sessionSecret: secret, log, metrics }: WebOptions): RequestHandler {
  return (request, response, next) => {
    const start = performance.now()
    const known = issuedSession(request.headers.cookie ?? '', secret)
    const id = known ?? randomBytes(16).toString('hex')
    // A form that another site posts comes without the cookie, and a new one would replace it: all photos would be lost.
    const isForeign = request.method === 'POST' && request.get('sec-fetch-site') === 'cross-site'
    const isPage = request.path === '/'
    const isSecure = schemeOf(request) === 'https'
    // Each view of the page restarts the 400 days: otherwise a person who comes daily would lose all photos.
    if (!isForeign && (known === undefined || isPage)) {
      const value = `${id}.${sign(id, secret)}; Max-Age=${maxAgeSeconds}; Path=/; HttpOnly${isSecure ? '; Secure' : ''}; SameSite=Lax`
      response.append('Set-Cookie', `${cookieName}=${value}`)
      if (isPage && !isSecure) response.append('Set-Cookie', `${httpCookieName}=${value}`)
    }
    const owner = ownerOf(id)
    const session = sessionOf(owner)
    const returning = known !== undefined
    response.locals.visitor = { owner, session, returning } satisfies Visitor
    response.locals.session = session
    const seconds = (performance.now() - start) / 1000
    metrics.observe('tintype_session_seconds', {}, seconds)
    log.debug('session.looked-up', { returning, seconds }, session)
    describeSpan({ [attributes.session]: session })
    currentSession.run(session, next)
  }
}

const sign = (id: string, secret: string): string =>
  createHmac('sha256', secret).update(id).digest('base64url')

/** The valid session of a Cookie header, which may have several cookies of one name, for other paths or domains. */
function issuedSession(header: string, secret: string): string | undefined {
  for (const name of [cookieName, httpCookieName]) {
    const issued = new RegExp(`(?<=^|;)\\s*${name}="?([0-9a-f]{32})\\.([\\w-]{43})"?\\s*(?=;|$)`, 'g')
    for (const [, id = '', signature = ''] of header.matchAll(issued))
      if (timingSafeEqual(Buffer.from(signature), Buffer.from(sign(id, secret)))) return id
  }
  return undefined
}
