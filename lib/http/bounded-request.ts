import { once } from 'node:events'
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { brotliDecompressSync, unzipSync, zstdDecompressSync } from 'node:zlib'
import { errorCode } from '../errors.ts'
import { clientFor } from './node-http.ts'

/** The response is larger than the bound, which the message names. */
export class TooLong extends Error {}

export type BoundedAnswer = Awaited<ReturnType<typeof askBounded>>

type Options = {
  /** Default: POST when there is a body, else GET. */
  method?: string
  headers?: OutgoingHttpHeaders
  body?: string | Buffer | undefined
  signal: AbortSignal
  /** False opens a new connection. */
  agent?: false
  /** Called before the request is sent. */
  onRequest?(request: ClientRequest): void
}

/**
 * One HTTP request whose response is read up to a bound. Redirects are not followed. fetch would load undici into each
 * process.
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

const decoders = { gzip: unzipSync, deflate: unzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync }

/** Decompresses a body: some servers compress unasked. @throws TooLong, or zlib's error when it is malformed. */
function decompressed({ headers }: IncomingMessage, body: Buffer, maxMiB: number): Buffer {
  const decode = decoders[headers['content-encoding'] as keyof typeof decoders]
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

async function ask<Body>(
  address: string,
  { body, signal, onRequest, ...rest }: Options,
  read: (response: IncomingMessage) => Promise<Body>,
) {
  const request = clientFor(address).request(address, {
    method: body === undefined ? 'GET' : 'POST',
    ...rest,
    signal,
  })
  onRequest?.(request)
  // An error may also come after the response began. Without a listener it would end the process.
  request.on('error', () => {}).end(body)
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return { status: response.statusCode ?? 0, headers: response.headers, body: await read(response) }
  } catch (error) {
    request.destroy()
    if (signal.aborted) throw signal.reason
    // A host with several addresses fails with an AggregateError, whose own message is empty.
    throw error instanceof AggregateError ? error.errors[0] : error
  }
}
