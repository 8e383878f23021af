import { timingSafeEqual } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { dayMs, daysMs, isDay, isOver, oldestMs, timeIn } from '@tintype/lib/day.ts'
import { ignore } from '@tintype/lib/disk.ts'
import { refuseRebound } from '@tintype/lib/http/rebinding.ts'
import { readBody } from '@tintype/lib/http/request-body.ts'
import { createApp, finishRoutes, Problem, tryAgain } from '@tintype/lib/http.ts'
import { countLimit, type LimitName, limits } from '@tintype/lib/limits.ts'
import { type OtherPages, otherPages } from '@tintype/lib/page/other-pages.ts'
import { openPages } from '@tintype/lib/page/pages.ts'
import { sparsely } from '@tintype/lib/repeat.ts'
import { levels } from '@tintype/lib/telemetry/catalogue.ts'
import { entryVersion, isStream, sourceOf } from '@tintype/lib/telemetry/entry.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { turns } from '@tintype/lib/turns.ts'
import type { Express, Request, Response } from 'express'
import type { CheckedClock } from './clock.ts'
import type { Folders } from './files.ts'
import { inThread } from './in-thread.ts'
import { timelineKeyOf } from './page/api.ts'
import { entriesIn, knownDays, type Wanted } from './search.ts'
import type { Keep } from './sizing.ts'
import type { Clock } from './stamp.ts'
import type { Appended, ServerJournal } from './streams.ts'

export type LogServer = OtherPages & {
  folders: Folders
  journal: ServerJournal
  log: Log
  metrics: Metrics
  /** The shippers' secret. It is read anew for each batch, as the shippers do. */
  token(): string
  clock: CheckedClock
  keep: Keep
}

/** The log server's HTTP API: ingest and look-ups. */
export async function createLogsApp(server: LogServer): Promise<Express> {
  const app = createApp(server).use(refuseRebound)
  addIngest(app, server)
  addReading(app, server)
  finishRoutes(app, server)
  return app
}

/** Concurrent look-ups. Further ones wait for their turn. */
const lookUpsAtOnce = 2

function addReading(app: Express, server: LogServer): void {
  const { folders, keep, clock } = server
  const bounded = () =>
    turns(lookUpsAtOnce, waiting => {
      if (waiting >= limits.lookUps.value) throw busy('Too many look-ups at once.', 'lookUps')
    })
  // A client that reads entries slowly keeps its turn for hours, which must not delay the pages.
  const [inTurn, inStreamTurn] = [bounded(), bounded()]
  const answer = async (response: Response, lookUp: () => ReturnType<typeof inThread>) => {
    // A person who reloads the page would otherwise wait for all searches before.
    const found = await inTurn(async () => ((await isThere(response)) ? lookUp() : undefined))
    if (!found) return
    if (found.cut) countLimit('timelineBytes')
    response.type('json').send(found.json)
  }
  const pages = openPages(`${import.meta.dirname}/page`)
  app.get('/pages.json', otherPages(server))
  app.get(...pages.assets)
  app.get('/', pages.html('index.html'))

  app.get('/timeline.json', async ({ query: { key: given, day } }, response) => {
    const key = typeof given === 'string' ? timelineKeyOf(given) : undefined
    if (!key)
      throw new Problem(400, 'bad-key', 'key must be an id of 8 to 64 digits and letters, with a digit.')
    if (day !== undefined && (typeof day !== 'string' || !isDay(day)))
      throw new Problem(400, 'bad-day', 'day must be a UTC day: YYYY-MM-DD.')
    await answer(response, () => inThread('timeline', folders, key, day))
  })
  app.get('/entries.ndjson', async ({ query }, response) => {
    const wanted = wantedIn(query)
    await inStreamTurn(async () => {
      const found = entriesIn(folders, wanted)
      if (!found) throw new Problem(404, 'nothing-logged', 'Nothing was logged on these days.')
      const oldest = knownDays(folders)[0] ?? ''
      // Without this header a client takes earlier days, which were removed by age, for days without entries.
      if (isOver(oldest, daysMs(keep.logsDays) - dayMs, clock.believed()))
        response.set('Tintype-Oldest-Day', oldest)
      response.type('application/x-ndjson')
      await pipeline(Readable.from(found), response).catch(ignore('ERR_STREAM_PREMATURE_CLOSE'))
    })
  })
  app.get('/recent.json', (_, response) => answer(response, () => inThread('recent', folders)))
  app.get('/sizing.json', (_, response) => answer(response, () => inThread('sizing', folders, keep)))
}

/** How long the network has to say that a client has left, once it was sent something. */
const answerMs = 100

/** Whether a client still waits. One that half-closed its connection may do so (printf | nc -N); else the second 102 fails. */
async function isThere(response: Response): Promise<boolean> {
  for (let sent = 0; sent < 2 && response.socket?.readableEnded; sent++) {
    if (response.req.httpVersion === '1.1') response.writeProcessing()
    await sleep(answerMs)
  }
  return !response.closed
}

function wantedIn({ from, to, event, level }: Record<string, unknown>): Wanted {
  const [fromMs, toMs] = [timeIn(from), timeIn(to)]
  const times = 'from and to must be days or ISO 8601 times with a zone; from must be before to.'
  if (!(fromMs < toMs)) throw new Problem(400, 'bad-time', times)
  const isEvent = typeof event === 'string' && event !== ''
  const ofLevel = levels.find(each => each === String(level).toLowerCase())
  const isClear = (isEvent || event === undefined) && (ofLevel || level === undefined) && (isEvent || ofLevel)
  if (!isClear) {
    const detail = `Give event (the start of an event’s name), level (${levels.join(', ')}), or both.`
    throw new Problem(400, 'bad-choice', detail)
  }
  return { fromMs, toMs, ...(isEvent && { event }), ...(ofLevel && { level: ofLevel }) }
}

function addIngest(app: Express, { journal, log, metrics, token, clock }: LogServer): void {
  /** When each stream was last received, the longest silent first. */
  const sentAt = new Map<string, number>()
  const series = ['tintype_log_entries_total', 'tintype_log_bytes_total', 'tintype_log_lag_seconds'] as const
  /** Removes the series of ended processes. Every pod has a new name, so they would grow without limit. */
  const endOldSeries = () => {
    for (const [stream, at] of sentAt) {
      if (performance.now() - at < dayMs) return
      sentAt.delete(stream)
      for (const name of series) metrics.forget(name, { stream })
    }
  }
  const inTurn = turns(limits.logBatches.value, () => {
    throw busy('Too many batches at once.', 'logBatches')
  })
  // Not for each batch, because these entries are shipped to this server, too.
  const { failed: refused } = sparsely<[error: string, stream: string]>(([error, stream]) =>
    log.error('ingest.refused', { stream, error }),
  )

  const append = async (stream: string, request: Request, received: Clock): Promise<Appended> => {
    const oldest = request.get('tintype-oldest') === 'true'
    const body = await readBody(request, 'logBatchBytes')
    return journal.append(stream, { body, clock: received, oldest }).catch(error => {
      refused([String(error), stream])
      throw busy('The log server’s disk refuses entries now.')
    })
  }

  app.post('/streams/:stream', async (request, response) => {
    const { stream } = request.params
    if (!isAuthorised(request, token()))
      throw new Problem(401, 'not-authorised', 'Shipping logs needs the INGEST_TOKEN as bearer token.', {
        headers: { 'WWW-Authenticate': 'Bearer' },
      })
    if (!isStream(stream)) throw new Problem(400, 'bad-stream', 'A stream is named service.instance.epoch.')
    // The shipper keeps the entries until this server knows their format.
    if (Number(request.get('tintype-entries') ?? 1) > entryVersion)
      throw busy('These entries have a newer format: update the log server first.')
    const start = performance.now()
    const received = clock.receive(Date.parse(request.get('tintype-clock') ?? ''), stream.startsWith('logs.'))
    // Filed under 1970, entries would be over their age at once when this machine gets the time from the network.
    if (received.receivedMs < oldestMs)
      throw busy(`The log server’s clock says ${new Date(received.receivedMs).toISOString()}.`)
    const appended = await inTurn(() => append(stream, request, received))
    if ('malformed' in appended) throw new Problem(400, 'malformed', `Not a batch: ${appended.malformed}.`)
    if ('full' in appended) throw busy(`${appended.full} has too many streams already.`, 'logStreams')
    if ('taken' in appended) {
      const detail = `Another process ships as ${stream}: give each machine its own INSTANCE.`
      throw new Problem(409, 'taken', detail)
    }
    if ('expected' in appended) {
      const detail = `Entries from ${appended.expected} on are missing.`
      throw new Problem(409, 'gap', detail, { members: appended })
    }
    if (appended.appended > 0) {
      const labels = { stream: sourceOf(stream) }
      sentAt.delete(labels.stream)
      sentAt.set(labels.stream, performance.now())
      endOldSeries()
      metrics.increment('tintype_log_entries_total', labels, appended.appended)
      metrics.increment('tintype_log_bytes_total', labels, appended.bytes)
      // By the checked clock, because this machine's clock may have stepped.
      const lagMs = received.receivedMs + performance.now() - start - appended.newestMs
      metrics.set('tintype_log_lag_seconds', labels, Math.max(0, lagMs) / 1000)
    }
    response.json({ acked: appended.acked })
  })
}

const busy = (what: string, limit?: LimitName): Problem => tryAgain(503, 'busy', what, 1, limit)

function isAuthorised(request: Request, token: string): boolean {
  const [, bearer = ''] = /^bearer +(.+)$/i.exec(request.get('authorization') ?? '') ?? []
  const [given, wanted] = [Buffer.from(bearer), Buffer.from(token)]
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}
