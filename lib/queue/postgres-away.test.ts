import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { everyOutcome } from '../../test/outcomes.ts'
import { type Postgres, startPostgres } from '../../test/postgres.ts'
import { describeWithParts, until } from '../../test/support.ts'
import { errorCode } from '../errors.ts'
import { limits, timesReached } from '../limits.ts'
import { job, opened } from './contract.ts'
import { pollMs } from './follow.ts'
import { openQueue } from './index.ts'

const never = new AbortController().signal
const kills = process.env.TEST_FULL ? 20 : 3

describeWithParts('PostgreSQL away', ['postgres'], ({ postgres }) => {
  let server: Postgres
  beforeAll(async () => {
    server = await startPostgres(postgres)
  })
  afterAll(() => server.stop())

  const recovery = (work: () => Promise<unknown>) =>
    until(() =>
      work().then(
        () => true,
        () => false,
      ),
    )

  describe('a server that is away', () => {
    test('fails each call at once with a code, and is used again at its return', async () => {
      const queue = await opened(server.newUrl())
      await queue.enqueue(job())
      const claim = await queue.claim('w', 60_000, never)
      if (claim === 'aborted') throw new Error('there is work')
      await server.kill()
      const calls: (() => Promise<unknown>)[] = [
        () => queue.enqueue(job()),
        () => queue.claim('w', 1_000, never),
        () => queue.complete(claim, Date.now()),
        () => queue.stats(),
        () => queue.look(claim.job.photo),
        () => queue.remove(claim.job.photo, claim.job.owner),
      ]
      const took: number[] = []
      for (let round = 0; round < 4; round++)
        for (const call of calls) {
          const start = performance.now()
          const error = await call().catch(error => error)
          took.push(performance.now() - start)
          expect(errorCode(error), String(error)).toMatch(/^(ECONN|57P|08)/)
        }
      // The fastest: a machine busy with other tests delays many, and what waits for the server delays each.
      expect(Math.min(...took)).toBeLessThan(1_000)
      await server.start()
      await recovery(() => queue.stats())
      expect(await queue.complete(claim, Date.now())).toEqual({ marked: 'kept' })
    })

    test('is listened to again: a waiting worker wakes without waiting for its next look', async () => {
      const url = server.newUrl()
      const [queue, worker] = [await opened(url), await opened(url)]
      await server.kill()
      await server.start()
      await recovery(() => worker.stats())
      const delays: number[] = []
      await until(async () => {
        const claim = worker.claim('w', 60_000, never)
        await worker.stats() // answered after the claim found nothing
        await queue.enqueue(job())
        const enqueued = performance.now()
        await claim
        delays.push(performance.now() - enqueued)
        return delays.length === 8
      })
      // The second: a busy machine delays most. Without a doorbell each would wait for the next look.
      expect(delays.toSorted((a, b) => a - b)[1]).toBeLessThan(pollMs / 2)
    })

    test('and does not answer: each call is an error after its limit, and it is used again at its return', async () => {
      const reached = () => timesReached('queueAnswer')
      const reachedBefore = reached()
      const queue = await opened(server.newUrl())
      const before = job()
      await queue.enqueue(before)
      const frozen = job()
      server.signal('SIGSTOP')
      try {
        // Some on connections that there were, some on such as are made now.
        for (let round = 0; round < 2; round++) {
          const start = performance.now()
          const calls = [
            () => queue.enqueue(frozen),
            () => queue.look(before.photo),
            () => queue.claim('w', 1_000, never),
          ]
          const errors = await Promise.all(calls.map(call => call().catch(error => error)))
          for (const error of errors) expect(errorCode(error), String(error)).toBe('ETIMEDOUT')
          expect(performance.now() - start).toBeLessThan(limits.queueAnswer.value * 3_000)
          expect(performance.now() - start).toBeGreaterThan(limits.queueAnswer.value * 900)
        }
        // The launcher kills a start that takes three minutes, without the reason.
        await expect(openQueue(server.newUrl())).rejects.toThrow('the server did not answer in time')
      } finally {
        server.signal('SIGCONT')
      }
      expect(reached() - reachedBefore, 'purges reach it, too').toBeGreaterThanOrEqual(6)
      await recovery(() => queue.stats())
      expect(await queue.look(before.photo)).toMatchObject({ state: 'queued' })
      expect(await queue.look(frozen.photo), 'its transaction was never finished').toBe('unknown')
    })

    test(`killed by SIGKILL ${kills} times under load loses no acknowledged photo and doubles none`, {
      timeout: 300_000,
    }, async () => {
      const url = server.newUrl()
      const options = { maxAttempts: 1_000, maxDepth: 100_000 }
      const [web, converter] = [await opened(url, options), await opened(url, options)]
      const acknowledged = new Set<string>()
      const marks = new Map<string, number>()
      let loading = true
      const produce = async () => {
        while (loading) {
          const work = job()
          for (let known = false; loading && !known; )
            known = await web.enqueue(work).then(
              () => acknowledged.add(work.photo) !== undefined,
              () => false,
            )
        }
      }
      const finished = new AbortController()
      onTestFinished(() => {
        loading = false // also when the test fails, or its loops would never end
        finished.abort()
      })
      const consume = async () => {
        while (!finished.signal.aborted) {
          const claim = await converter.claim('w', 1_000, finished.signal).catch(() => 'aborted' as const)
          if (claim === 'aborted') continue
          const ended = await converter.complete(claim, Date.now()).catch(() => 'unknown' as const)
          if (typeof ended === 'object' && ended.marked)
            marks.set(claim.job.photo, (marks.get(claim.job.photo) ?? 0) + 1)
        }
      }
      const producing = Array.from({ length: 4 }, produce)
      const consuming = Array.from({ length: 4 }, consume)
      for (let kill = 0; kill < kills; kill++) {
        const count = acknowledged.size + 50 + Math.random() * 100
        await until(() => acknowledged.size > count, { what: 'load' })
        await server.kill()
        await server.start()
      }
      loading = false
      await Promise.all(producing)
      await until(
        async () => {
          const { depth, claimed } = await web.stats()
          return depth + claimed === 0
        },
        { what: 'the end of the work' },
      )
      finished.abort()
      await Promise.all(consuming)
      const outcomes = await Array.fromAsync(everyOutcome(web))
      expect(new Set(outcomes.map(({ photo }) => photo))).toEqual(acknowledged)
      expect(outcomes.length).toBe(acknowledged.size)
      expect([...marks].filter(([, times]) => times > 1)).toEqual([])
    })
  })
})
