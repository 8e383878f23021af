import type { ClientRequest } from 'node:http'
import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { dayMs } from '@tintype/lib/day.ts'
import { messageOf } from '@tintype/lib/errors.ts'
import { askBounded, type BoundedAnswer, inWords } from '@tintype/lib/http/bounded-request.ts'

/** Seconds of a request by phase; 0 for a phase that was not reached or does not exist (tls on http). */
export const noPhases = { dns: 0, connect: 0, tls: 0, processing: 0, transfer: 0 }
type RequestPhases = typeof noPhases
export const phaseNames = Object.keys(noPhases) as (keyof RequestPhases)[]

/**
 * How a request ended: with an answer, or a reason for its failure. A failed phase has its time until the failure.
 * `certificateDays`: days until the server's certificate ends.
 */
export type Timed = { phases: RequestPhases; certificateDays?: number } & (
  | { answer: BoundedAnswer }
  | { failed: string }
)

/** With a larger answer the request fails. */
const maxAnswerMiB = 4

type Asked = Omit<Parameters<typeof askBounded>[1], 'maxMiB'> & { url: URL; timeoutMs: number }

/** A failed request is repeated once after this time, because one lost packet is no outage. */
const retryAfterMs = 1_000

/**
 * Sends a request, and repeats it once when there was no answer, or an unexpected one of 500 or more. The phases are
 * those of the last request.
 */
export async function withRetry(
  send: () => Promise<Timed>,
  signal: AbortSignal,
  expected: readonly number[] = [],
): Promise<Timed> {
  const once = async (): Promise<Timed> => {
    const timed = await send()
    if ('failed' in timed) return timed
    const { status } = timed.answer
    const isFailure = status >= 500 && !expected.includes(status)
    return isFailure ? { ...timed, failed: inWords(timed.answer) } : timed
  }
  const first = await once()
  if (!('failed' in first)) return first
  await sleep(retryAfterMs, undefined, { signal })
  const second = await once()
  return 'failed' in second ? { ...second, failed: `${first.failed}; again: ${second.failed}` } : second
}

/**
 * Sends one HTTP request on a new connection, so that name lookup, connect and TLS are measured as for a first visitor.
 * Faults of the service are a `failed`. @throws only the signal's reason when stopped.
 */
export async function timedRequest({ url, timeoutMs, signal, ...asked }: Asked): Promise<Timed> {
  const clock = startClock()
  const abort = new AbortController()
  // AbortSignal.any with AbortSignal.timeout would lose the timeout's reason if the request is destroyed later.
  const cut = setTimeout(() => abort.abort(new DOMException('timeout', 'TimeoutError')), timeoutMs)
  try {
    const answer = await askBounded(url.href, {
      ...asked,
      signal: AbortSignal.any([signal, abort.signal]),
      maxMiB: maxAnswerMiB,
      isNew: true,
      insecureHTTPParser: true,
      onRequest: request => followPhases(request, url, clock),
    })
    clock.enter(null)
    return { ...clock.measured, answer }
  } catch (error) {
    signal.throwIfAborted()
    clock.enter(null)
    const isLate = (error as Error).name === 'TimeoutError'
    return { ...clock.measured, failed: isLate ? `no answer within ${timeoutMs} ms` : messageOf(error) }
  } finally {
    clearTimeout(cut)
  }
}

type Clock = ReturnType<typeof startClock>

function followPhases(request: ClientRequest, { hostname, protocol }: URL, clock: Clock) {
  request.once('socket', socket => {
    const onReady = () => {
      clock.enter('processing')
      const { valid_to: end } = (socket as Partial<TLSSocket>).getPeerCertificate?.() ?? {}
      if (end) clock.measured.certificateDays = (Date.parse(end) - Date.now()) / dayMs
    }
    // A proxy's tunnel is connected and secure already.
    if (!socket.connecting) return onReady()
    clock.enter(isIP(hostname.replace(/^\[|\]$/g, '')) ? 'connect' : 'dns')
    socket.once('lookup', error => error || clock.enter('connect'))
    socket.once('connect', () => (protocol === 'https:' ? clock.enter('tls') : onReady()))
    socket.once('secureConnect', onReady)
  })
  request.once('response', () => clock.enter('transfer'))
}

function startClock() {
  const measured: Pick<Timed, 'phases' | 'certificateDays'> = { phases: { ...noPhases } }
  let current: keyof RequestPhases | null = null
  let since = performance.now()
  return {
    measured,
    /** Ends the current phase and begins another. */
    enter(phase: keyof RequestPhases | null): void {
      const now = performance.now()
      if (current) measured.phases[current] += (now - since) / 1000
      current = phase
      since = now
    },
  }
}
