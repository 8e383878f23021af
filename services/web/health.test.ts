import { expect, onTestFinished, test, vi } from 'vitest'
import { watchDependencies } from './health.ts'
import { startWeb } from './test/web.ts'

test('a dependency that is away or does not answer is shown, and is asked once at a time', async () => {
  const { web } = await startWeb()
  let answer = Promise.resolve<'not-found'>('not-found')
  const read = vi.fn(() => answer)
  const storage = { ...web.storage, read }
  const dependencies = watchDependencies({ ...web, storage })
  expect(await dependencies()).toEqual({ queue: 'ok', storage: 'ok' })

  const frozen = Promise.withResolvers<'not-found'>()
  answer = frozen.promise
  read.mockClear()
  expect(await Promise.all([dependencies(), dependencies()])).toEqual(
    Array(2).fill({ queue: 'ok', storage: 'away' }),
  )
  expect(read).toHaveBeenCalledTimes(1)

  frozen.resolve('not-found')
  answer = frozen.promise
  expect(await dependencies()).toEqual({ queue: 'ok', storage: 'ok' })

  await web.queue.close()
  expect(await dependencies()).toEqual({ queue: 'away', storage: 'ok' })
})

test('the event lag begins at the scrape that saw an event waiting: a busy queue is always ahead by a moment', async () => {
  const { web } = await startWeb()
  const now = vi.spyOn(performance, 'now')
  onTestFinished(() => now.mockRestore())
  const begun = performance.now()
  const look = async (seconds: number, passed: number, lastEvent: number) => {
    now.mockReturnValue(begun + seconds * 1000)
    const set = vi.fn()
    Object.assign(fakes.metrics, { set })
    Object.assign(fakes.queue, { stats: async () => ({ ...(await web.queue.stats()), lastEvent }) })
    Object.assign(fakes.events, { seq: () => passed })
    await dependencies()
    return set.mock.calls.find(([name]) => name === 'tintype_event_lag_seconds')?.[2]
  }
  const fakes = { metrics: { ...web.metrics }, queue: { ...web.queue }, events: { ...web.events } }
  const dependencies = watchDependencies({ ...web, ...fakes })
  // Busy: at each scrape the last events are on their way.
  expect([await look(0, 7, 9), await look(15, 22, 23), await look(30, 40, 42)]).toEqual([0, 0, 0])
  // Stalled after event 41.
  expect([await look(45, 41, 60), await look(60, 41, 75), await look(75, 70, 80)]).toEqual([
    expect.closeTo(15),
    expect.closeTo(30),
    0,
  ])
})
