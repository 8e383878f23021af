import { Agent, request } from 'node:http'
import { line } from './lines.ts'

const batchEntries = 1_000
/** Batches of each stream before the measurement: a new server first compiles its code. */
const warmUpBatches = 5

export type Ingested = { entriesPerSecond: number; ackMs: number[] }

/** Sends several streams at once, each batch after the one before, as shippers do. */
export async function ingest(
  url: string,
  token: string,
  streams: number,
  batches: number,
): Promise<Ingested> {
  // Made before the measurement, so that it excludes the sender's cost.
  const bodies = Array.from({ length: streams }, (_, s) => {
    const stream = `web.${s}.1700000000`
    const at = new Date().toISOString()
    return Array.from({ length: warmUpBatches + batches }, (_, b) => {
      const from = b * batchEntries + 1
      return Buffer.from(Array.from({ length: batchEntries }, (_, i) => line(stream, from + i, at)).join(''))
    })
  })
  const agent = new Agent({ keepAlive: true, maxSockets: streams })
  const send = (from: number, to: number, ackMs: number[]) =>
    Promise.all(
      bodies.map(async (each, s) => {
        for (const body of each.slice(from, to)) {
          const sent = performance.now()
          await post(new URL(`/streams/web.${s}.1700000000`, url), token, agent, body)
          ackMs.push(performance.now() - sent)
        }
      }),
    )
  await send(0, warmUpBatches, [])
  const ackMs: number[] = []
  const start = performance.now()
  await send(warmUpBatches, warmUpBatches + batches, ackMs)
  const seconds = (performance.now() - start) / 1000
  agent.destroy()
  return { entriesPerSecond: (streams * batches * batchEntries) / seconds, ackMs }
}

function post(url: URL, token: string, agent: Agent, body: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const headers = {
    authorization: `Bearer ${token}`,
    'content-length': body.length,
    'tintype-clock': new Date().toISOString(),
  }
  const sent = request(url, { method: 'POST', agent, headers }, response => {
    response.resume()
    response.on('end', () =>
      response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}`)),
    )
  })
  sent.on('error', reject)
  sent.end(body)
  return promise
}
