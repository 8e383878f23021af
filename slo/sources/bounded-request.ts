import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

/** An answer that is not read to its end; its message is the bound. */
export class TooLong extends Error {}

type Answer = { status: number; headers: IncomingHttpHeaders; text: string }

/**
 * One HTTP request, POST when there is a body, whose answer is read up to a bound. node:http rather than fetch, and no TLS
 * without need: loading either takes a tenth of the time that a report may take.
 * @throws TooLong, the signal’s reason, or why the connection failed.
 */
export async function askBounded(
  address: string,
  options: { headers: Record<string, string>; signal: AbortSignal; maxMiB: number; body?: string },
): Promise<Answer> {
  const { headers, signal, maxMiB, body } = options
  const http = await (address.startsWith('https:') ? import('node:https') : import('node:http'))
  const request = http.request(address, { method: body === undefined ? 'GET' : 'POST', headers, signal })
  // Also after the answer began: without a listener it would end the process.
  request.on('error', () => {}).end(body)
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxMiB * 2 ** 20) throw new TooLong(`more than ${maxMiB} MiB`)
      chunks.push(chunk)
    }
    const text = Buffer.concat(chunks).toString('utf8')
    return { status: response.statusCode ?? 0, headers: response.headers, text }
  } catch (error) {
    request.destroy()
    throw signal.aborted ? signal.reason : error
  }
}
