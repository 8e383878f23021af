import { timingSafeEqual } from 'node:crypto'
import { createApp, finish, Problem } from '@tintype/lib/http.ts'
import { limits } from '@tintype/lib/limits.ts'
import { openPages } from '@tintype/lib/page/pages.ts'
import { isStream, maxBatchBytes, sourceOf } from '@tintype/lib/telemetry/entry.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Express, Request } from 'express'
import type { Appended, Journal } from './journal.ts'
import type { Story } from './page/api.ts'
import type { Reader } from './read.ts'
import { isKey } from './timeline.ts'

/** A shipper's batch, and room for what it says of lines that it could not read. */
const maxBodyBytes = 2 * maxBatchBytes
/** With the bodies' limit this bounds the memory of ingest to 128 MiB. */
const maxBatchesAtOnce = 64
const retryAfterSeconds = 1

type Options = {
  journal: Journal
  log: Log
  metrics: Metrics
  /** The shippers' secret; empty: only this machine may ship. */
  token: string
  reader: Reader
}

/** Ingest, and what people read. */
export async function createLogsApp(options: Options): Promise<Express> {
  const app = createApp(options)
  addIngest(app, options)
  await addReading(app, options.reader)
  finish(app, options)
  return app
}

async function addReading(app: Express, reader: Reader): Promise<void> {
  const pages = await openPages(`${import.meta.dirname}/page`)
  app.use(pages.assets)
  app.get('/', pages.html('index.html'))

  const story = async ({ key, day }: { key?: unknown; day?: unknown }): Promise<Story> => {
    if (typeof key !== 'string' || !isKey(key))
      throw new Problem(400, 'bad-key', 'key is a session, a photo or a trace, as entries carry it.')
    if (day !== undefined && !/^\d{4}-\d\d-\d\d$/.test(String(day)))
      throw new Problem(400, 'bad-day', 'day is a UTC day: YYYY-MM-DD.')
    return notBusy(await reader.story(key, day === undefined ? undefined : String(day)))
  }
  app.get('/timeline.json', async (request, response) => {
    response.set('Cache-Control', 'no-store').json(await story(request.query))
  })
  app.get('/timeline.ndjson', async (request, response) => {
    const { key, entries } = await story(request.query)
    response
      .set({
        'Content-Type': 'application/x-ndjson',
        'Content-Disposition': `attachment; filename="${key}.ndjson"`,
      })
      .send(entries.map(entry => `${JSON.stringify(entry)}\n`).join(''))
  })
  app.get('/sizing.json', async (_request, response) => {
    response.set('Cache-Control', 'no-store').json(notBusy(await reader.sizing()))
  })
}

function notBusy<T>(answer: T | 'busy'): T {
  if (answer === 'busy') throw busy('Too many look-ups at once.')
  return answer
}

function addIngest(app: Express, { journal, log, metrics, token }: Options): void {
  let atOnce = 0
  let refusing = false

  const append = async (stream: string, request: Request): Promise<Appended> => {
    const receivedMs = Date.now()
    const sentMs = Date.parse(request.get('tintype-clock') ?? '')
    const clock = { receivedMs, offsetMs: Number.isNaN(sentMs) ? 0 : receivedMs - sentMs }
    const body = await readBody(request)
    try {
      const appended = await journal.append(stream, {
        body,
        clock,
        oldest: request.get('tintype-oldest') === 'true',
      })
      refusing = false
      return appended
    } catch (error) {
      // Once, not for each batch that is tried again: this log is shipped here too.
      if (!refusing) log.error('ingest.refused', { stream, error: String(error) })
      refusing = true
      throw busy('The log server’s disk does not take entries now.')
    }
  }

  app.post('/streams/:stream', async (request, response) => {
    const { stream } = request.params
    if (!isAuthorised(request, token))
      throw new Problem(401, 'not-authorised', 'Shipping logs needs the INGEST_TOKEN as bearer token.')
    if (!isStream(stream)) throw new Problem(400, 'bad-stream', 'A stream is named service.instance.epoch.')
    if (atOnce >= maxBatchesAtOnce) throw busy('Too many batches at once.')
    atOnce++
    const appended = await append(stream, request).finally(() => atOnce--)
    if ('malformed' in appended) throw new Problem(400, 'malformed', `Not a batch: ${appended.malformed}.`)
    if ('full' in appended) {
      metrics.increment('tintype_limit_reached_total', { limit: 'logStreams' })
      throw busy(`${appended.full} has ${limits.logStreams.value} streams already.`)
    }
    if ('expected' in appended)
      throw new Problem(409, 'gap', `Entries from ${appended.expected} on are missing.`, {
        members: appended,
      })
    if (appended.appended > 0) {
      const labels = { stream: sourceOf(stream) }
      metrics.increment('tintype_log_entries_total', labels, appended.appended)
      metrics.increment('tintype_log_bytes_total', labels, appended.bytes)
      metrics.set('tintype_log_lag_seconds', labels, Math.max(0, Date.now() - appended.newestMs) / 1000)
    }
    response.json({ acked: appended.acked })
  })
}

const busy = (detail: string): Problem =>
  new Problem(503, 'busy', `${detail} Try again.`, {
    headers: { 'Retry-After': String(retryAfterSeconds) },
  })

function isAuthorised(request: Request, token: string): boolean {
  if (token === '') return /^(::ffff:)?127\.|^::1$/.test(request.socket.remoteAddress ?? '')
  const given = Buffer.from(request.get('authorization') ?? '')
  const wanted = Buffer.from(`Bearer ${token}`)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

async function readBody(request: Request): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > maxBodyBytes)
      throw new Problem(413, 'too-large', `A batch has at most ${maxBodyBytes} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}
