import { expect, test } from 'vitest'
import { until } from '../../test/support.ts'
import { sweep } from './sweeper.ts'
import { png } from './test/images.ts'
import { startWeb } from './test/web.ts'

test('a dead letter above its age is removed from the queue and counted; its photo stays failed', async () => {
  const running = await startWeb()
  const person = running.visitor()
  const { links } = (await (await person.post(png())).json()) as { links: { self: string } }
  for (let attempt = 0; attempt < 3; attempt++) {
    const claim = await running.queue.claim('w', 60_000, AbortSignal.timeout(10_000))
    if (claim === 'aborted') throw new Error('there is nothing to claim')
    const reason = { code: 'timeout', detail: 'It takes too long.' } as const
    if (claim.lastAttempt) {
      const result = { state: 'failed', reason, failedAt: new Date().toISOString() }
      const key = `photos/${claim.job.owner.slice(0, 2)}/${claim.job.owner}/${claim.job.photo}/result.json`
      await running.storage.put(key, Buffer.from(JSON.stringify(result)))
    }
    await running.queue.fail(claim, reason, Date.now())
  }
  expect((await running.queue.stats()).dead).toBe(1)
  const web = { ...running.web, config: { ...running.web.config, KEEP_DEAD_LETTERS_DAYS: 1e-9 } }
  const limit = 'deadLetterAge'
  sweep(web, () => {}) // until the test ends
  await until(
    async () => (await running.sample(`tintype_limit_reached_total{limit="${limit}"}`)) === 1 || undefined,
  )
  expect((await running.queue.stats()).dead).toBe(0)
  expect(await (await person.call('GET', links.self)).json()).toMatchObject({ state: 'failed' })
})
