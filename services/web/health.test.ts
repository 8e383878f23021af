import { expect, test, vi } from 'vitest'
import { sampleIn } from '../../test/support.ts'
import { watchDependencies } from './health.ts'
import { startWeb } from './test/web.ts'

test('a dependency that is away or does not answer is shown and logged, and is asked once at a time', async () => {
  const { web, entries } = await startWeb()
  let answer = Promise.resolve<'not-found'>('not-found')
  const read = vi.fn(() => answer)
  const storage = { ...web.storage, read }
  const dependencies = watchDependencies({ ...web, storage })
  const up = (dependency: string) =>
    sampleIn(web.metrics, `tintype_dependency_up{dependency="${dependency}"}`)
  const logged = () => entries.filter(({ event }) => event.startsWith('dependency.'))
  expect(await dependencies()).toEqual({ queue: 'ok', storage: 'ok' })

  const frozen = Promise.withResolvers<'not-found'>()
  answer = frozen.promise
  read.mockClear()
  expect(await Promise.all([dependencies(), dependencies()])).toEqual(
    Array(2).fill({ queue: 'ok', storage: 'away' }),
  )
  expect([read.mock.calls.length, await up('storage'), await up('queue')]).toEqual([1, 0, 1])
  expect(logged()).toMatchObject([
    { event: 'dependency.away', dependency: 'storage', error: expect.stringMatching(/no answer/) },
  ])

  frozen.resolve('not-found')
  answer = frozen.promise
  expect(await dependencies()).toEqual({ queue: 'ok', storage: 'ok' })
  expect(logged()).toMatchObject([{}, { event: 'dependency.back', dependency: 'storage' }])

  await web.queue.close()
  expect(await dependencies()).toEqual({ queue: 'away', storage: 'ok' })
  expect([await up('storage'), await up('queue')]).toEqual([1, 0])
})
