import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { ExpectedError } from '@tintype/lib/errors.ts'
import type { Stores } from '../diagnose/open-examples.ts'
import { linesWith } from './witness/lines.ts'

export type Entry = { id: string; timestamp: string; payload: Readonly<Record<string, unknown>> }

/**
 * Asks the log server for the entries in [fromMs, toMs) whose event begins with a text, or that are of a level. Null when no
 * log server runs, or it has nothing of these days. @throws ExpectedError when it refuses.
 */
export async function entriesOf(
  stores: Stores,
  wanted: { event: string } | { level: string },
  fromMs: number,
  toMs: number,
): Promise<AsyncIterable<Entry> | null> {
  const server = addressOf(stores)
  if (!server) return null
  const times = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }
  const url = new URL(`entries.ndjson?${new URLSearchParams({ ...times, ...wanted })}`, server)
  const response = await answerOf(url)
  if (response === null || response.statusCode === 404) {
    response?.destroy()
    return null
  }
  if (response.statusCode !== 200) {
    response.destroy()
    throw new ExpectedError(`the log server answered ${response.statusCode} to ${url.href}`)
  }
  return (async function* () {
    for await (const line of linesWith(response, '"id"')) yield JSON.parse(line) as Entry
  })()
}

/** Null when it cannot be reached. */
async function answerOf(url: URL): Promise<IncomingMessage | null> {
  const request = get(url)
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return response
  } catch {
    return null
  }
}

/** LOGS_URL, else the log server that the launcher started on this DATA_DIR. */
function addressOf({ dataDir, environment }: Stores): string | undefined {
  if (environment.LOGS_URL) return withSlash(environment.LOGS_URL)
  try {
    const { logs } = JSON.parse(readFileSync(`${dataDir}/endpoints.json`, 'utf8')) as { logs?: string }
    return logs && withSlash(logs)
  } catch {
    return undefined
  }
}

const withSlash = (address: string): string => (address.endsWith('/') ? address : `${address}/`)
