import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { everyOutcome } from '../../../test/outcomes.ts'
import { until } from '../../../test/support.ts'
import type { PhotoView } from '../show/photo-view.ts'
import { png } from '../test/images.ts'
import { convertNext, startWeb } from '../test/web.ts'

/** How long the converter of this test takes a photo: 10 a second, whatever the machine. */
const serviceSeconds = 0.1

test('of twelve times what can be converted, what is accepted is kept and the rest is shed', async () => {
  const running = await startWeb({ PROMISE_SECONDS: 10 }, { converter: false })
  const announce = (seconds: number) =>
    running.queue.announce({ id: 'test', slots: 1, serviceSeconds: seconds })
  await announce(serviceSeconds)
  let converting = true
  const converter = (async () => {
    let mean = serviceSeconds
    while (converting || (await running.queue.stats()).depth > 0) {
      if ((await running.queue.stats()).depth === 0) await sleep(10)
      else {
        const start = performance.now()
        await Promise.all([convertNext(running), sleep(serviceSeconds * 1000)])
        mean += 0.1 * ((performance.now() - start) / 1000 - mean)
      }
      await announce(mean)
    }
  })()

  const person = running.visitor()
  await person.call('GET', '/photos')
  const answers: Promise<Response>[] = []
  for (let n = 0; n < 120; n++) {
    answers.push(person.post(png()))
    await sleep(1000 / 120)
  }
  const accepted: string[] = []
  let shed = 0
  for (const answer of await Promise.all(answers)) {
    if (answer.status === 202) accepted.push(((await answer.json()) as PhotoView).id)
    else if (answer.status === 503 && Number(answer.headers.get('retry-after')) >= 1) shed++
  }
  expect(accepted.length + shed).toBe(120)
  expect(shed).toBeGreaterThan(0)
  expect(accepted.length).toBeGreaterThan(20)

  converting = false
  await converter
  const outcomes = new Map<string, string>()
  await until(async () => {
    for await (const { photo, outcome } of everyOutcome(running.queue)) outcomes.set(photo, outcome)
    return outcomes.size === accepted.length
  })
  expect(accepted.filter(id => outcomes.get(id) !== 'kept')).toEqual([])
  expect(await running.sample('tintype_photos_total{outcome="shed"}')).toBe(shed)
})

test('an accepted photo is answered 202 while the queue is away: after an error its client would send it again', async () => {
  const { web, visitor, sample } = await startWeb()
  web.queue.look = () => Promise.reject(Object.assign(new Error('locked'), { code: 'ERR_SQLITE_ERROR' }))
  const answer = await visitor().post(png(), { prefer: 'wait=2' })
  expect([answer.status, ((await answer.json()) as { state: string }).state]).toEqual([202, 'queued'])
  expect(await sample('tintype_photos_total{outcome="shed"}')).toBe(0)
})
