import type { Request, RequestHandler } from 'express'
import { Problem } from '../http.ts'
import { parseJson } from '../json.ts'
import { limits } from '../limits.ts'

/** @throws Problem 415 for a compressed body, which says so in `Content-Encoding`. */
export function refuseCompressed(request: Request): void {
  if (/^(identity)?$/i.test(request.get('content-encoding') ?? '')) return
  const headers = { 'Accept-Encoding': 'identity' }
  throw new Problem(415, 'compressed', 'Send the body uncompressed, without Content-Encoding.', { headers })
}

/**
 * The whole body of a request.
 * @throws Problem 415 when it is compressed, 413 as soon as it exceeds the limit, without reading the rest.
 */
export async function readBody(request: Request, limit: 'jsonBytes' | 'adminBytes' | 'logBatchBytes') {
  refuseCompressed(request)
  const chunks: Buffer[] = []
  const maxBytes = limits[limit].value
  const tooLarge = new Problem(413, 'too-large', `The body may have ${maxBytes} bytes at most.`, { limit })
  if (Number(request.get('content-length') ?? 0) > maxBytes) throw tooLarge
  let bytes = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length
    if (bytes > maxBytes) throw tooLarge
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

/**
 * Reads a JSON body into `request.body`; undefined when it is empty. express.json would read the rest before a 413.
 * @param type `any` takes JSON under every Content-Type. Use it only for routes that a session protects: a browser
 * sends application/json to another site only after a CORS preflight, and other types without one.
 */
export const json =
  (limit: 'jsonBytes' | 'adminBytes', type = 'application/json'): RequestHandler =>
  async (request, _response, next) => {
    if (type !== 'any' && request.is(type) === false)
      throw new Problem(415, 'not-json', `Send the body as ${type}.`)
    const body = await readBody(request, limit)
    request.body = parseJson(body.toString())
    if (request.body === undefined && body.length > 0)
      throw new Problem(400, 'malformed', 'The body is not well-formed JSON.')
    next()
  }
