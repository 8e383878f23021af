import { describeError } from '@tintype/lib/errors.ts'
import { Problem } from '@tintype/lib/http.ts'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Owner } from '@tintype/lib/photo/record.ts'
import type { QueueEvent } from '@tintype/lib/queue/index.ts'
import type { Request, RequestHandler, Response } from 'express'
import { viewPhoto } from '../show/photo-view.ts'
import { clientAddress } from '../visitors/address.ts'
import { countAtOnce } from '../visitors/at-once.ts'
import { visitorOf } from '../visitors/session.ts'
import type { Web } from '../web.ts'

/** Below the idle timeouts of proxies, which are 30 to 60 s. */
const heartbeatMs = 15_000
/** The browser's delay before it reconnects. */
const retryMs = 1_000

/**
 * GET /events: server-sent events of this session's photos. Each `photo` event holds the photo as GET /photos/{id} answers it
 * now, or its id and state `deleted`. With Last-Event-ID the later events are sent, or `reset`.
 */
export function eventStream(web: Web): RequestHandler {
  const enter = countAtOnce('streams', 'visitorStreams', 'addressStreams')
  return (request, response) => {
    const { owner } = visitorOf(response)
    response.set({
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    })
    if (request.method === 'HEAD') return void response.end()
    const leave = enter(owner, clientAddress(request))
    if (typeof leave === 'string') {
      const detail = 'Too many event streams are open. Close a tab, then try again.'
      throw new Problem(503, 'too-many-streams', detail, { limit: leave, headers: { 'Retry-After': '10' } })
    }
    const ended = new AbortController()
    response.once('close', () => {
      ended.abort()
      leave()
    })
    stream(web, owner, request, response, ended.signal).catch(error => {
      if (!ended.signal.aborted) web.log.error('events.failed', { error: describeError(error) })
      response.destroy()
    })
  }
}

async function stream(web: Web, owner: Owner, request: Request, response: Response, closed: AbortSignal) {
  const signal = AbortSignal.any([closed, web.draining])
  response.write(`retry: ${retryMs}\n\n`)
  const heartbeat = setInterval(() => response.write(':\n\n'), heartbeatMs)
  const inbox = openInbox(web, owner, signal, () => cut(response, 'streamEvents'))
  try {
    const sent = await sendMissed(web, owner, request, response)
    for await (const event of inbox) if (!sent.delete(event.seq)) await send(web, response, event)
  } finally {
    clearInterval(heartbeat)
    response.end()
  }
}

/** The owner's events from this call on, until aborted. */
function openInbox(
  { events }: Web,
  owner: Owner,
  signal: AbortSignal,
  overflow: () => void,
): AsyncIterable<QueueEvent> {
  const waiting: QueueEvent[] = []
  let wake = () => {}
  const unsubscribe = events.subscribe(owner, event => {
    if (waiting.length >= limits.streamEvents.value) overflow()
    else waiting.push(event)
    wake()
  })
  signal.addEventListener('abort', () => {
    unsubscribe()
    wake()
  })
  return (async function* () {
    while (!signal.aborted) {
      yield* waiting.splice(0)
      if (waiting.length === 0 && !signal.aborted)
        await new Promise<void>(resolve => {
          wake = resolve
        })
    }
  })()
}

/**
 * Sends the events after the reader's last one, or a `reset`, after which it reads its list again, when the queue no longer
 * has them. Returns the numbers that it sent, because the inbox holds some of them too.
 */
async function sendMissed(
  web: Web,
  owner: Owner,
  request: Request,
  response: Response,
): Promise<Set<number>> {
  const given = request.get('last-event-id')
  if (given === undefined || given === '') return new Set()
  const missed = /^\d{1,15}$/.test(given) ? await web.queue.eventsOf(owner, Number(given)) : 'reset'
  if (missed === 'reset') {
    const { lastEvent } = await web.queue.stats()
    response.write(`id: ${lastEvent}\nevent: reset\ndata: {}\n\n`)
    return new Set()
  }
  for (const event of missed) await send(web, response, event)
  return new Set(missed.map(({ seq }) => seq))
}

async function send(web: Web, response: Response, { seq, photo, owner, state }: QueueEvent): Promise<void> {
  const view = state === 'deleted' ? 'not-found' : await viewPhoto(web, owner, photo)
  if (view !== 'not-found' && view.state === 'ready') web.delivery.expect(photo)
  const sent = view === 'not-found' ? { id: photo, state: 'deleted' } : view
  response.write(`id: ${seq}\nevent: photo\ndata: ${JSON.stringify(sent)}\n\n`)
  if (response.writableLength > limits.streamBacklog.value) cut(response, 'streamBacklog')
}

/** Ends the stream of a reader that is too far behind. It reconnects with Last-Event-ID. */
function cut(response: Response, limit: 'streamEvents' | 'streamBacklog'): void {
  countLimit(limit)
  response.destroy()
}
