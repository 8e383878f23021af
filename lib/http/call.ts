import { once } from 'node:events'
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'

type Call = { method?: string; headers?: OutgoingHttpHeaders; body?: string | Buffer; timeoutMs: number }

/**
 * An HTTP request and its whole response. fetch would load undici and its parser into the process.
 * @throws when the whole response did not arrive within `timeoutMs`. Redirects are not followed.
 */
export async function call(url: URL, { body, timeoutMs, ...options }: Call): Promise<[number, string]> {
  const { request } = await import(url.protocol === 'https:' ? 'node:https' : 'node:http')
  const sent: ClientRequest = request(url, { ...options, signal: AbortSignal.timeout(timeoutMs) })
  const answered = once(sent, 'response')
  // An error is thrown by `answered`, or later by the reader of the response.
  sent.on('error', () => {}).end(body)
  const [response] = (await answered) as [IncomingMessage]
  return [response.statusCode ?? 0, await text(response)]
}
