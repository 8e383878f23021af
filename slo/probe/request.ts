import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type Socket } from 'node:net'

/** Seconds of one request; 0 where a phase was not reached or does not exist (tls on http, dns for an address). */
export type RequestPhases = {
  dns: number
  connect: number
  tls: number
  processing: number
  transfer: number
}

export const noPhases: RequestPhases = { dns: 0, connect: 0, tls: 0, processing: 0, transfer: 0 }

export type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer }

/** The beginning of a body, for a message. */
export const excerpt = (body: Buffer): string => body.toString('utf8', 0, 200)

/** The request ended: with an answer, or with why there was none. The phase it died in has its time until then. */
export type Timed = { phases: RequestPhases } & ({ answer: Answer } | { failed: string })

/** What is larger is not read: the attempt fails. */
const maxAnswerBytes = 4 * 1024 * 1024

export type Asked = {
  method: string
  url: URL
  headers: Record<string, string>
  body?: Buffer
  timeoutMs: number
  signal: AbortSignal
}

/**
 * One HTTP request on a connection of its own, so that name server, connect and TLS are tried each time as a
 * first visitor tries them. Never throws.
 */
export async function timedRequest(asked: Asked): Promise<Timed> {
  const clock = startClock()
  try {
    const answer = await send(asked, clock)
    return { phases: clock.phases, answer }
  } catch (error) {
    clock.enter(null)
    const { name, message } = error as Error
    const failed = name === 'TimeoutError' ? `no answer within ${asked.timeoutMs} ms` : message
    return { phases: clock.phases, failed: failed || name }
  }
}

function send({ method, url, headers, body, timeoutMs, signal }: Asked, clock: Clock): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const abort = new AbortController()
  // Not AbortSignal.any with AbortSignal.timeout: on a request that is destroyed late, its reason is lost.
  const cut = setTimeout(() => abort.abort(new DOMException('timeout', 'TimeoutError')), timeoutMs)
  const onStop = () => abort.abort(signal.reason)
  signal.addEventListener('abort', onStop, { once: true })
  if (signal.aborted) onStop()
  abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true })

  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method,
    headers: body ? { ...headers, 'Content-Length': body.length } : headers,
    agent: false,
    signal: abort.signal,
  })
  request.on('socket', socket => followConnection(socket, url, clock))
  request.on('response', response => {
    clock.enter('transfer')
    const chunks: Buffer[] = []
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxAnswerBytes) request.destroy(new Error(`the answer is over ${maxAnswerBytes} bytes`))
      else chunks.push(chunk)
    })
    response.on('error', reject)
    response.on('end', () => {
      clock.enter(null)
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) })
    })
  })
  request.on('error', reject)
  request.end(body)
  return promise.finally(() => {
    clearTimeout(cut)
    signal.removeEventListener('abort', onStop)
  })
}

function followConnection(socket: Socket, { hostname, protocol }: URL, clock: Clock): void {
  clock.enter(isIP(hostname.replace(/^\[|\]$/g, '')) ? 'connect' : 'dns')
  socket.once('lookup', error => error || clock.enter('connect'))
  socket.once('connect', () => clock.enter(protocol === 'https:' ? 'tls' : 'processing'))
  socket.once('secureConnect', () => clock.enter('processing'))
}

type Clock = {
  readonly phases: RequestPhases
  /** Ends the phase under way and begins another. */
  enter(phase: keyof RequestPhases | null): void
}

function startClock(): Clock {
  const phases = { ...noPhases }
  let current: keyof RequestPhases | null = null
  let since = performance.now()
  return {
    phases,
    enter(phase) {
      const now = performance.now()
      if (current) phases[current] += (now - since) / 1000
      current = phase
      since = now
    },
  }
}
