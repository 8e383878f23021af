import { expect, test } from 'vitest'
import { everyOutcome } from '../../../test/outcomes.ts'
import type { PhotoView } from '../show/photo-view.ts'
import { png } from '../test/images.ts'
import { convertNext, slowly, startWeb } from '../test/web.ts'

/** A converter that takes so long a photo converts ten within a promise of a minute. */
const serviceSeconds = 6
const uploads = 120

test('of twelve times what can be converted in time, no more is accepted than that, and kept; the rest is shed', async () => {
  const running = await startWeb({ PROMISE_SECONDS: 60 }, { converter: false })
  await running.queue.announce({ id: 'test', slots: 1, serviceSeconds })

  // Two sessions, because one may send 64 photos at once.
  const people = [running.visitor(), running.visitor()]
  for (const person of people) await person.call('GET', '/photos')
  const accepted: string[] = []
  let shed = 0
  const posts = people.flatMap(person => Array.from({ length: uploads / 2 }, () => person.post(png())))
  for (const answer of await Promise.all(posts)) {
    if (answer.status === 202) accepted.push(((await answer.json()) as PhotoView).id)
    else if (answer.status === 503 && Number(answer.headers.get('retry-after')) >= 1) shed++
  }
  expect(accepted.length + shed).toBe(uploads)
  expect(accepted.length).toBeGreaterThan(2)
  expect(accepted.length * serviceSeconds).toBeLessThanOrEqual(60)

  for (const _ of accepted) await convertNext(running)
  const outcomes = new Map<string, string>()
  for await (const { photo, outcome } of everyOutcome(running.queue)) outcomes.set(photo, outcome)
  expect(outcomes).toEqual(new Map(accepted.map(id => [id, 'kept'])))
  expect(await running.sample('tintype_photos_total{outcome="shed"}')).toBe(shed)
})

test('an accepted photo is answered 202 while the queue is away: after an error its client would send it again', async () => {
  const { web, visitor, sample } = await startWeb()
  web.queue.look = () => Promise.reject(Object.assign(new Error('locked'), { code: 'ERR_SQLITE_ERROR' }))
  const answer = await visitor().post(png(), { prefer: 'wait=2' })
  expect([answer.status, ((await answer.json()) as { state: string }).state]).toEqual([202, 'queued'])
  expect(await sample('tintype_photos_total{outcome="shed"}')).toBe(0)
})

test('a queue that goes away during an upload is named in the log, and not storage, which waits for its answer', async () => {
  const { web, visitor, entries } = await startWeb()
  let asked = 0
  const { stats } = web.queue
  web.queue.stats = () =>
    asked++ === 0 ? stats() : Promise.reject(Object.assign(new Error('queue: locked'), { code: 'EBUSY' }))
  // The statistics of the admission are too old when the body has come.
  expect((await visitor().post(slowly(png(), 2, 300))).status).toBe(503)
  expect(entries.find(({ event }) => event === 'photo.not-stored')?.error).toMatchObject({
    message: 'queue: locked',
  })
})
