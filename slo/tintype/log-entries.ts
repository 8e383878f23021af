import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { base } from '@tintype/lib/config.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { clientFor } from '@tintype/lib/http/node-http.ts'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import { linesOfStream } from '@tintype/lib/lines.ts'
import { endpointsIn } from '@tintype/lib/page/other-pages.ts'
import type { Stores } from '../diagnose/open-examples.ts'

export type LogEntry = { id: string; timestamp: string; payload: Readonly<Record<string, unknown>> }

/**
 * Asks the log server for the entries in [fromMs, toMs) with a level or whose event begins with a text, and passes each
 * to `take`. False when no log server runs, it has no entries of some of these days, or its answer was incomplete after
 * `limits.logSeconds`: then `take` got only a part. @throws ExpectedError when it refuses.
 */
export async function readEntries(
  stores: Stores,
  wanted: { event: string } | { level: string },
  fromMs: number,
  toMs: number,
  take: (entry: LogEntry) => void,
): Promise<boolean> {
  const server = addressOf(stores)
  if (!server) return false
  const times = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }
  const url = new URL(`entries.ndjson?${new URLSearchParams({ ...times, ...wanted })}`, server)
  const signal = AbortSignal.timeout(limits.logSeconds.value * 1000)
  // An error without a listener would end the process, also after the answer began.
  const request = clientFor(url.href)
    .get(url, { signal })
    .on('error', () => {})
  try {
    const [response] = (await once(request, 'response', { signal })) as [IncomingMessage]
    if (response.statusCode === 404) return false
    if (response.statusCode !== 200)
      throw new ExpectedError(`the log server answered ${response.statusCode} to ${url.href}`)
    if (`${response.headers['tintype-oldest-day'] ?? ''}` > times.from) return false
    for await (const line of linesOfStream(response, '"id"')) take(JSON.parse(line) as LogEntry)
    return true
  } catch (error) {
    if (error instanceof ExpectedError) throw error
    if (signal.aborted) countLimit('logSeconds')
    return false
  } finally {
    request.destroy()
  }
}

/** LOGS_URL, or else the log server that the launcher started on this DATA_DIR. */
const addressOf = ({ dataDir, environment }: Stores): URL | null | undefined =>
  base.parse(environment.LOGS_URL || endpointsIn(dataDir).logs || '')
