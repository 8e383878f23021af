import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { schemeOf } from '@tintype/lib/http.ts'
import { setBounded } from '@tintype/lib/limits.ts'
import { type Owner, ownerOf, sessionOf } from '@tintype/lib/photo/record.ts'
import { sparsely } from '@tintype/lib/repeat.ts'
import { currentRequest } from '@tintype/lib/telemetry/calls.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { describeSpan } from '@tintype/lib/telemetry/trace.ts'
import type { RequestHandler, Response } from 'express'
import type { Web } from '../web.ts'

const cookieName = 'tintype_session'
/**
 * The name of the page's second cookie. Two services on one host, by port or prefix, replace each other's first cookie,
 * and browsers let http neither read nor replace the Secure one of a visit by https. Photos would be lost.
 */
const ownCookieName = (secret: string, scheme: 'http' | 'https'): string =>
  `${cookieName}_${createHmac('sha256', secret).update(scheme).digest('hex').slice(0, 8)}`
const sameSecret =
  'A cookie that another SESSION_SECRET signed was replaced, and its person sees no photos. All webs behind one address need the same secret.'
/** 400 days, the longest time that browsers keep a cookie. */
const maxAgeSeconds = 400 * 86_400
/** Longer Cookie headers are verified each time: `remembered` of the longest ones would be 160 MB. */
const keptHeader = 1_024

/** The visitor of a request, set by `sessions` for all later routes. */
export type Visitor = {
  owner: Owner
  /** sessionOf(owner), for logs and traces. */
  session: string
  /** False without a valid session cookie. */
  returning: boolean
}

export const visitorOf = (response: Response): Visitor => response.locals.visitor

/** Verifies the session cookie, else begins a session. It is signed (id.HMAC), so that no session store is needed. */
export function sessions({ sessionSecret: secret, log, metrics }: Web): RequestHandler {
  const own = { https: ownCookieName(secret, 'https'), http: ownCookieName(secret, 'http') }
  const patterns = [cookieName, own.https, own.http].map(
    name => new RegExp(`(?<=^|;)\\s*${name}="?([0-9a-f]{32})\\.([\\w-]{43})"?\\s*(?=;|$)`, 'g'),
  )
  /** The session ids of valid Cookie headers: to verify one takes an eighth of a request's CPU time. */
  const verified = new Map<string, string>()
  const { failed: refused } = sparsely((advice: string) => log.warn('session.other-secret', { advice }))
  return (request, response, next) => {
    const start = performance.now()
    const header = request.headers.cookie ?? ''
    const kept = verified.get(header)
    const { known, isOther } = kept ? { known: kept } : issuedSession(header, patterns, secret)
    if (known && !kept && header.length <= keptHeader) setBounded(verified, header, known)
    if (isOther) refused(sameSecret)
    const id = known ?? randomBytes(16).toString('hex')
    // A form that another site posts comes without the cookie, and a new one would replace it: all photos would be lost.
    const isForeign = request.method === 'POST' && request.get('sec-fetch-site') === 'cross-site'
    const isPage = request.path === '/'
    // Each view of the page restarts the 400 days: otherwise a person who comes daily would lose all photos.
    if (!isForeign && (known === undefined || isPage)) {
      const scheme = schemeOf(request)
      const value = `${id}.${sign(id, secret)}; Max-Age=${maxAgeSeconds}; Path=/; HttpOnly${scheme === 'https' ? '; Secure' : ''}; SameSite=Lax`
      for (const name of isPage ? [cookieName, own[scheme]] : [cookieName])
        response.append('Set-Cookie', `${name}=${value}`)
    }
    const owner = ownerOf(id)
    const session = sessionOf(owner)
    const returning = known !== undefined
    response.locals.visitor = { owner, session, returning } satisfies Visitor
    response.locals.session = session
    // The page learns from it that its event stream is of an earlier session: the person has cleared the cookies.
    response.set('Tintype-Session', session)
    const seconds = (performance.now() - start) / 1000
    metrics.observe('tintype_session_seconds', {}, seconds)
    log.debug('session.looked-up', { returning, seconds }, session)
    describeSpan({ [attributes.session]: session })
    currentRequest.run({ session, requestId: response.locals.requestId }, next)
  }
}

const sign = (id: string, secret: string): string =>
  createHmac('sha256', secret).update(id).digest('base64url')

/**
 * The valid session of a Cookie header, which may have several cookies of one name, for other paths or domains.
 * `isOther`: it has none, but one that another secret signed.
 */
function issuedSession(header: string, patterns: RegExp[], secret: string) {
  const cookies = patterns.flatMap(pattern => [...header.matchAll(pattern)])
  const isValid = ([, id = '', signature = '']: string[]) =>
    timingSafeEqual(Buffer.from(signature), Buffer.from(sign(id, secret)))
  const known = cookies.find(isValid)?.[1]
  return { known, isOther: known === undefined && cookies.length > 0 }
}
