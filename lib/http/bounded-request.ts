import { once } from 'node:events'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import * as zlib from 'node:zlib'
import { errorCode } from '../errors.ts'
import { isHere } from '../loopback.ts'
import { clientFor, http, proxyFor } from './node-http.ts'

/** The response is larger than the bound, which the message names. */
export class TooLong extends Error {}

export type BoundedAnswer = Awaited<ReturnType<typeof askBounded>>

/** Bytes of a response's headers. Browsers accept as many; Node's 16 KiB are less than some cookies and policies. */
const maxHeaderSize = 2 ** 18

type Options = {
  /** Default: POST when there is a body, else GET. */
  method?: string
  headers?: OutgoingHttpHeaders
  body?: string | Buffer | undefined
  signal: AbortSignal
  /** Opens a new connection. */
  isNew?: true
  /** Accepts answers that browsers accept although they are malformed. */
  insecureHTTPParser?: true
  /** False accepts any certificate. */
  rejectUnauthorized?: boolean
  /** Called before the request is sent. */
  onRequest?(request: ClientRequest): void
}

/**
 * One HTTP request whose response is read up to a bound, without redirects. fetch would load undici into each process.
 * @throws TooLong, the signal’s reason, or the cause of a failed connection.
 */
export const askBounded = (address: string, { maxMiB, ...options }: Options & { maxMiB: number }) =>
  ask(address, options, async response => {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of response) {
      bytes += chunk.length
      if (bytes > maxMiB * 2 ** 20) throw tooLong(maxMiB)
      chunks.push(chunk)
    }
    return decompressed(response, Buffer.concat(chunks), maxMiB)
  })

const tooLong = (maxMiB: number) => new TooLong(`more than ${maxMiB} MiB`)

const decoders = {
  gzip: zlib.unzipSync,
  'x-gzip': zlib.unzipSync,
  // Some servers leave out the header of zlib, whose first half byte is 8.
  deflate: (body: Buffer, options: zlib.ZlibOptions) =>
    (((body[0] ?? 0) & 15) === 8 ? zlib.unzipSync : zlib.inflateRawSync)(body, options),
  br: zlib.brotliDecompressSync,
  zstd: zlib.zstdDecompressSync,
}

/** Decompresses a body: some servers compress unasked. @throws TooLong, or zlib's error when it is malformed. */
function decompressed({ headers }: IncomingMessage, body: Buffer, maxMiB: number): Buffer {
  const decode = decoders[headers['content-encoding']?.toLowerCase() as keyof typeof decoders]
  // The answer to HEAD has the header but no body.
  if (!decode || body.length === 0) return body
  try {
    return decode(body, { maxOutputLength: maxMiB * 2 ** 20 })
  } catch (error) {
    throw errorCode(error) === 'ERR_BUFFER_TOO_LARGE' ? tooLong(maxMiB) : error
  }
}

/** Like askBounded, but resolves with status and headers, and discards the body without waiting for its end. */
export const askStatus = (address: string, options: Options) =>
  ask(address, options, async response => void response.on('error', () => {}).resume())

/** For this machine's own servers: with NODE_USE_ENV_PROXY Node would ask HTTP_PROXY for them, too. */
const direct = new http.Agent({ keepAlive: true, timeout: 5_000 })
export const excerpt = (body: Buffer): string => body.toString('utf8', 0, 200)

type Answer<Body> = { status: number; headers: IncomingHttpHeaders; body: Body }

/** An unexpected answer in words: its status, where a redirect leads, and how its body begins. */
export const inWords = ({ status, headers: { location }, body }: Answer<Buffer | undefined>): string =>
  [`answer ${location ? `${status} to ${location}` : status}`, body && excerpt(body)]
    .filter(Boolean)
    .join(': ')

/** The same for a log, of a redirect only the origin: the rest repeats the request's address, which may be a secret. */
export function statusInWords({ status, headers: { location } }: Answer<unknown>): string {
  if (!location) return `answer ${status}`
  const { origin = '', protocol } = URL.parse(location) ?? {}
  return `answer ${status} to ${origin === 'null' ? protocol : origin}/…`
}

async function ask<Body>(
  address: string,
  options: Options,
  read: (response: IncomingMessage) => Promise<Body>,
): Promise<Answer<Body>> {
  const { body, signal, onRequest, isNew, ...rest } = options
  const method = body === undefined ? 'GET' : 'POST'
  const { protocol, hostname } = URL.parse(address) ?? {}
  const client = clientFor(address)
  const isOwn = isHere(hostname ?? '')
  // Not `false`, with which Node asks no proxy.
  const anew = () => new client.Agent(proxyFor(address))
  const agent = isNew || (isOwn && protocol === 'https:') ? anew() : isOwn ? direct : undefined
  const headers = {
    // Firewalls and CDNs refuse requests without these.
    'User-Agent': 'tintype',
    Accept: '*/*',
    // Node leaves it out of GET and DELETE. The server would take the body for another request.
    ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }),
    ...options.headers,
  }
  const all = { method, maxHeaderSize, agent, ...rest, headers, signal }
  const request = client.request(address, all)
  onRequest?.(request)
  // An error may also come after the response began. Without a listener it would end the process.
  request.on('error', () => {}).end(body)
  try {
    const [response] = (await once(request, 'response', { signal })) as [IncomingMessage]
    return { status: response.statusCode ?? 0, headers: response.headers, body: await read(response) }
  } catch (error) {
    request.destroy()
    if (signal.aborted) throw signal.reason
    // The other side closed the kept connection at the moment of its reuse. Every caller may ask twice.
    if (request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(errorCode(error) ?? ''))
      return ask(address, options, read)
    throw error
  }
}
