import { openDoorbell } from '@tintype/lib/doorbell.ts'
import { goneSignal, tryAgain } from '@tintype/lib/http.ts'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Owner } from '@tintype/lib/photo/record.ts'
import type { QueueEvent } from '@tintype/lib/queue/index.ts'
import { sparsely } from '@tintype/lib/repeat.ts'
import type { Request, RequestHandler, Response } from 'express'
import { viewPhoto } from '../show/photo-view.ts'
import { clientAddress } from '../visitors/address.ts'
import { visitorOf } from '../visitors/session.ts'
import { countAtOnce } from '../visitors/visitor-limits.ts'
import type { Web } from '../web.ts'

/** A comment is sent after this time without an event: proxies close a connection that is idle for 30 to 60 s. */
const heartbeatMs = 15_000
/** Delay before the browser reconnects. */
const retryMs = 1_000

/**
 * GET /events: server-sent events of this session's photos. Each `photo` event has the photo as GET /photos/{id}
 * answers it now, or its id and state `deleted`. With Last-Event-ID later events are sent first, or `reset`.
 */
export function eventStream(web: Web): RequestHandler {
  const enter = countAtOnce('streams', 'visitorStreams', 'addressStreams')
  // Each browser reconnects each second while the queue is away.
  const { failed } = sparsely(error => web.log.error('events.failed', { error }))
  return (request, response) => {
    const { owner } = visitorOf(response)
    response.set({
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store, no-transform', // a proxy that compresses would hold events back
      'X-Accel-Buffering': 'no',
    })
    if (request.method === 'HEAD') return void response.end()
    const leave = enter(owner, clientAddress(request))
    if (typeof leave === 'string')
      throw tryAgain(503, 'too-many-streams', 'Too many event streams are open. Close a tab.', 10, leave)
    response.once('close', leave)
    const gone = goneSignal(response)
    stream(web, owner, request, response, gone).catch(error => {
      if (!gone.aborted) failed(error)
      response.destroy()
    })
  }
}

async function stream(web: Web, owner: Owner, request: Request, response: Response, gone: AbortSignal) {
  const signal = AbortSignal.any([gone, web.draining])
  const waiting: QueueEvent[] = []
  const bell = openDoorbell()
  // Subscribed before the missed events are read, so that none in between is lost.
  const unsubscribe = web.events.subscribe(owner, event => {
    if (waiting.length >= limits.streamEvents.value) cut(response, 'streamEvents')
    else waiting.push(event)
    bell.ring()
  })
  try {
    response.write(`retry: ${retryMs}\n\n`)
    const sent = await sendMissed(web, owner, request, response)
    while (!signal.aborted) {
      const rings = bell.rings()
      for (const event of waiting.splice(0)) if (!sent.delete(event.seq)) await send(web, response, event)
      await bell.wait(rings, heartbeatMs, signal)
      if (bell.rings() === rings) response.write(':\n\n')
    }
  } finally {
    unsubscribe()
    response.end()
  }
}

/**
 * Sends the events after the reader's last one. When the queue no longer has them it sends `reset`, and the reader
 * reads its list again. A new reader gets the number of the newest event: its connection may break before its first
 * event. Returns the sent numbers, because some of these events also wait in the subscription.
 */
async function sendMissed(web: Web, owner: Owner, request: Request, response: Response) {
  const given = request.get('last-event-id') ?? ''
  const missed = /^\d{1,15}$/.test(given) ? await web.queue.eventsOf(owner, Number(given)) : 'reset'
  if (missed === 'reset') {
    const lastEvent = await web.queue.lastEvent()
    response.write(`id: ${lastEvent}\n${given && 'event: reset\ndata: {}\n'}\n`)
    return new Set<number>()
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
