import { describeError } from '@tintype/lib/errors.ts'
import { Problem } from '@tintype/lib/http.ts'
import type { Owner } from '@tintype/lib/photo/record.ts'
import type { QueueEvent } from '@tintype/lib/queue/index.ts'
import type { Request, RequestHandler, Response } from 'express'
import { visitorOf } from './session.ts'
import { viewPhoto } from './view.ts'
import type { Web } from './web.ts'

/** Each open stream holds a socket and its listener. */
const maxStreams = 2_000
/** A person has a few tabs. */
const maxStreamsOfOwner = 8
/** Below the idle timeouts of proxies, which are 30 to 60 s. */
const heartbeatMs = 15_000
/** A reader this far behind is cut; it comes back with Last-Event-ID. */
const maxBehindBytes = 256 * 1024
/** What a browser waits before it comes back. */
const retryMs = 1_000

/**
 * GET /events: server-sent events of this session's photos only: each `photo` holds the photo as GET
 * /photos/{id} gives it now, or its id and state `deleted`. Last-Event-ID resumes: what came after it is told again.
 */
export function eventStream(web: Web): RequestHandler {
  const open = new Map<Owner, number>()
  let total = 0
  return (request, response) => {
    const { owner } = visitorOf(response)
    const own = open.get(owner) ?? 0
    if (total >= maxStreams || own >= maxStreamsOfOwner)
      throw new Problem(
        503,
        'too-many-streams',
        'Too many event streams are open. Close a tab, then try again.',
        {
          headers: { 'Retry-After': '10' },
        },
      )
    total++
    open.set(owner, own + 1)
    const ended = new AbortController()
    response.once('close', () => {
      ended.abort()
      total--
      const left = (open.get(owner) ?? 1) - 1
      if (left === 0) open.delete(owner)
      else open.set(owner, left)
    })
    stream(web, owner, request, response, ended.signal).catch(error => {
      if (!ended.signal.aborted) web.log.error('events.failed', { error: describeError(error) })
      response.destroy()
    })
  }
}

async function stream(web: Web, owner: Owner, request: Request, response: Response, closed: AbortSignal) {
  const signal = AbortSignal.any([closed, web.draining])
  response.set({
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no',
  })
  response.write(`retry: ${retryMs}\n\n`)
  const heartbeat = setInterval(() => response.write(':\n\n'), heartbeatMs)
  const inbox = openInbox(web, owner, signal)
  try {
    const sent = await tellMissed(web, owner, lastEventId(request), signal, response)
    for await (const event of inbox) if (event.seq > sent) await tell(web, response, event)
  } finally {
    clearInterval(heartbeat)
    response.end()
  }
}

/** The owner's events from now on, until aborted; subscribed at once, not at the first read. */
function openInbox({ events }: Web, owner: Owner, signal: AbortSignal): AsyncIterable<QueueEvent> {
  const waiting: QueueEvent[] = []
  let wake = () => {}
  const unsubscribe = events.subscribe(owner, event => {
    waiting.push(event)
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

function lastEventId(request: Request): number | null {
  const given = request.get('last-event-id') ?? ''
  return /^\d{1,15}$/.test(given) ? Number(given) : null
}

/**
 * Tells what came after the last event that the reader saw, from the queue itself, until the process's own reading
 * (`web.events`) is reached. Gives the last event that needs no telling any more.
 */
async function tellMissed(
  web: Web,
  owner: Owner,
  after: number | null,
  signal: AbortSignal,
  response: Response,
): Promise<number> {
  const reached = (seq: number) => seq >= (web.events.seq() ?? Number.POSITIVE_INFINITY)
  if (after === null) return 0
  if (reached(after)) return after
  for await (const event of web.queue.events(after, signal)) {
    if (event.owner === owner) await tell(web, response, event)
    if (reached(event.seq)) return event.seq
  }
  return after
}

async function tell(web: Web, response: Response, { seq, photo, owner, state }: QueueEvent): Promise<void> {
  const view = state === 'deleted' ? 'not-found' : await viewPhoto(web, owner, photo)
  if (view !== 'not-found' && view.state === 'ready') web.delivery.expect(photo)
  const told = view === 'not-found' ? { id: photo, state: 'deleted' } : view
  response.write(`id: ${seq}\nevent: photo\ndata: ${JSON.stringify(told)}\n\n`)
  if (response.writableLength > maxBehindBytes) response.destroy()
}
