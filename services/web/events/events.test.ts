import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openDoorbell } from '@tintype/lib/doorbell.ts'
import { newPhotoId } from '@tintype/lib/photo/record.ts'
import { follow } from '@tintype/lib/queue/follow.ts'
import type { Queue } from '@tintype/lib/queue/index.ts'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../../../test/support.ts'
import { watchDependencies } from '../health.ts'
import type { PhotoView } from '../show/photo-view.ts'
import { png } from '../test/images.ts'
import { convertNext, type Running, startWeb, type Visitor } from '../test/web.ts'
import { openEvents } from './events.ts'

type Received = { id: string; data: PhotoView | { id: string; state: 'deleted' } }

/** What a person's event stream tells, until the test ends it. */
async function listen(person: Visitor, lastEventId?: string) {
  const controller = new AbortController()
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
  const response = await person.call('GET', '/events', { headers, signal: controller.signal })
  const received: Received[] = []
  const resets: string[] = []
  const read = async () => {
    let text = ''
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      const whole = text.split('\n\n')
      text = whole.pop() ?? ''
      for (const block of whole) {
        const [, id, data] = /^id: (\d+)\nevent: photo\ndata: (.*)$/.exec(block) ?? []
        if (id && data) received.push({ id, data: JSON.parse(data) })
        const [, reset] = /^id: (\d+)\nevent: reset\n/.exec(block) ?? []
        if (reset) resets.push(reset)
      }
    }
  }
  const ended = read().catch(() => {})
  return {
    response,
    received,
    resets: () => resets,
    states: () => received.map(({ data }) => data.state),
    ended,
    close: () => controller.abort(),
  }
}

const upload = async (person: Visitor) => (await (await person.post(png())).json()) as PhotoView

async function beginSession(running: Running): Promise<Visitor> {
  const person = running.visitor()
  await person.call('GET', '/photos')
  return person
}

test('a session hears of its own photos, each with all there is to know', async () => {
  const running = await startWeb()
  const [person, other] = [await beginSession(running), await beginSession(running)]
  const [stream, others] = [await listen(person), await listen(other)]
  expect(stream.response.headers.get('content-type')).toMatch(/^text\/event-stream/)
  const { id, links } = await upload(person)
  await convertNext(running)
  await until(() => stream.states().includes('ready'))
  expect(stream.received.at(-1)?.data).toEqual(await (await person.call('GET', links.self)).json())
  await person.call('DELETE', links.self)
  await until(() => stream.received.at(-1)?.data.state === 'deleted')
  expect(stream.received.at(-1)?.data).toEqual({ id, state: 'deleted' })
  expect(others.received).toEqual([])
  stream.close()
  others.close()
})

test('a stream begins before a number whose transaction has not committed yet, so that a resume misses no event', async () => {
  const running = await startWeb()
  const person = await beginSession(running)
  await upload(person)
  // PostgreSQL numbers events before they commit: those behind the missing number are newer.
  running.queue.lastEvent = async () => 41
  const stream = await listen(person, 'unknown')
  await until(() => stream.resets().length > 0)
  expect(stream.resets()).toEqual(['41'])
  stream.close()
})

test('Last-Event-ID tells what was missed, once each, and goes on live', async () => {
  const running = await startWeb()
  const person = await beginSession(running)
  const before = await listen(person)
  await upload(person)
  await until(() => before.received.length === 1)
  before.close()
  await convertNext(running)
  await upload(person)
  const after = await listen(person, before.received[0]?.id)
  await until(() => after.received.length >= 3)
  await convertNext(running)
  await until(() => after.received.length >= 5)
  const ids = after.received.map(({ id }) => Number(id))
  expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b))
  expect(Math.min(...ids)).toBeGreaterThan(Number(before.received[0]?.id))
  expect(after.states().filter(state => state === 'ready').length).toBeGreaterThanOrEqual(2)
  after.close()
})

test('a stream that broke before its first event resumes, too, and no proxy may compress it', async () => {
  const running = await startWeb()
  const person = await beginSession(running)
  await upload(person)
  const stream = await person.call('GET', '/events')
  expect(stream.headers.get('cache-control')).toBe('no-store, no-transform')
  let text = ''
  for await (const chunk of stream.body ?? []) {
    text += new TextDecoder().decode(chunk)
    if (/^id: \d+\n\n/m.test(text)) break // which closes the stream
  }
  const { id } = await upload(person)
  const later = await listen(person, /^id: (\d+)$/m.exec(text)?.[1])
  await until(() => later.received.some(({ data }) => data.id === id))
  expect(later.resets()).toEqual([])
  later.close()
})

test('Last-Event-ID holds over a restart of web: events are the queue’s own', async () => {
  const running = await startWeb()
  const person = await beginSession(running)
  const { id } = await upload(person)
  await convertNext(running)
  const { lastEvent } = await running.queue.stats()
  const fresh = await listen(person, String(lastEvent - 3)) // queued, converting, ready
  await until(() => fresh.states().includes('ready'))
  expect(fresh.received.every(({ data }) => data.id === id)).toBe(true)
  fresh.close()
})

test('Last-Event-ID that this queue cannot know is answered by a reset, after which the stream goes on', async () => {
  const running = await startWeb()
  const person = await beginSession(running)
  await upload(person)
  const { lastEvent } = await running.queue.stats()
  for (const lost of ['7', String(lastEvent + 1_000), '9'.repeat(30), 'of another program']) {
    const stream = await listen(person, lost)
    await until(() => stream.resets().length === 1)
    expect(stream.resets(), lost).toEqual([String(lastEvent)])
    stream.close()
  }
  const stream = await listen(person, '7')
  await until(() => stream.resets().length === 1)
  await convertNext(running)
  await until(() => stream.states().includes('ready'))
  stream.close()
})

test('a session has a few streams at most, and a closed one frees its place', async () => {
  const running = await startWeb()
  const person = await beginSession(running)
  const streams = []
  for (let n = 0; n < 8; n++) streams.push(await listen(person))
  expect((await person.call('GET', '/events')).status).toBe(503)
  streams[0]?.close()
  const again = await until(async () => {
    const stream = await listen(person)
    return stream.response.status === 200 && stream
  })
  for (const stream of [...streams, again]) stream.close()
})

test('streams end when the server stops', async () => {
  const running = await startWeb()
  const stream = await listen(await beginSession(running))
  running.drain()
  await stream.ended
})

test('delivery is measured once, for those who were there for it', async () => {
  const running = await startWeb()
  const person = await beginSession(running)
  const delivered = () => running.sample('tintype_stage_seconds_count{stage="deliver"}')
  const unwatched = await upload(person)
  await convertNext(running)
  await (await person.call('GET', unwatched.links.thumbnail)).arrayBuffer()
  expect(await delivered()).toBe(0)
  const stream = await listen(person)
  const watched = await upload(person)
  await convertNext(running)
  await until(() => stream.received.some(({ data }) => data.id === watched.id && data.state === 'ready'))
  for (let n = 0; n < 2; n++) await (await person.call('GET', watched.links.thumbnail)).arrayBuffer()
  await until(async () => (await delivered()) === 1)
  stream.close()
})

test('the browser’s own timing is taken once a photo, within bounds', async () => {
  const running = await startWeb()
  const person = await beginSession(running)
  const { id } = await upload(person)
  const post = async (body: unknown) =>
    (await person.call('POST', '/experience', { body: JSON.stringify(body) })).status
  expect(await post({ photo: id, seconds: 1.5 })).toBe(204)
  expect(await post({ photo: id, seconds: 2.5 })).toBe(204)
  expect(await running.sample('tintype_stage_seconds_sum{stage="experience"}')).toBe(1.5)
  for (const seconds of [-1, 3_601, '1', null]) expect(await post({ photo: id, seconds })).toBe(400)
  expect(await post({ photo: '../x', seconds: 1 })).toBe(404)
  expect(await post('x'.repeat(2_000))).toBe(413)
})

test('the status is what slo wrote, or not known', async () => {
  const running = await startWeb()
  expect((await running.visitor().call('GET', '/status.json')).status).toBe(404)
  const status = {
    online: true,
    budgetLeftMinutes: 57,
    budgetMinutes: 60,
    keptRatio: 1,
    at: '2026-11-22T17:00:00Z',
  }
  await running.storage.put('status.json', Buffer.from(JSON.stringify(status)))
  expect(await (await running.visitor().call('GET', '/status.json')).json()).toEqual(status)
})

test('an event that comes between a failed read and the next one is passed on, also if it is the first', async () => {
  const { queue, log } = (await startWeb()).web
  let failed = false
  const events: Queue['events'] = (after, signal) => {
    if (failed) return queue.events(after, signal)
    failed = true
    return follow(() => Promise.reject(new Error('the queue is away')), openDoorbell(), after, signal)
  }
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const passed: string[] = []
  const { subscribe } = openEvents(Object.assign(Object.create(queue), { events }), log, stop.signal)
  const owner = 'ab'.repeat(16)
  subscribe(owner, ({ state }) => passed.push(state))
  await until(() => failed)
  const photo = newPhotoId(Date.now())
  await queue.enqueue({ photo, owner, receivedAt: 0, promiseBy: Date.now() + 60_000, promise: false })
  await until(() => passed.length > 0, { what: 'the event' })
  expect(passed).toEqual(['queued'])
})

test('streams that cannot begin are one entry a minute: while the queue is away each browser reconnects each second', async () => {
  const running = await startWeb()
  const person = await beginSession(running)
  await running.queue.close()
  for (const _ of [1, 2, 3]) await (await person.call('GET', '/events')).text().catch(() => '')
  const errors = running.entries.filter(
    ({ event, error }) => event === 'events.failed' && error !== undefined,
  )
  expect(errors.length).toBeLessThanOrEqual(2) // the other one is web's own reader
  expect(errors.length).toBeGreaterThan(0)
})

test('events of a queue that was restored from a backup while web ran are passed on: web waited for their old numbers', async () => {
  const running = await startWeb()
  watchDependencies(running.web)
  const person = await beginSession(running)
  const stream = await listen(person)
  const { id } = await upload(person)
  await until(() => stream.received.some(({ data }) => data.id === id))
  await running.web.metrics.render(undefined)
  const db = new DatabaseSync(join(running.folder, 'queue.sqlite'), { timeout: 5_000 })
  db.exec(`DELETE FROM events; UPDATE sqlite_sequence SET seq = seq - 1000 WHERE name = 'events'`)
  db.close()
  await upload(person)
  await running.web.metrics.render(undefined)
  const later = await upload(person)
  await until(() => stream.received.some(({ data }) => data.id === later.id))
  stream.close()
})
