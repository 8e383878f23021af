import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { everyOutcome } from '../../test/outcomes.ts'
import { until } from '../../test/support.ts'
import { type FailureReason, newPhotoId } from '../photo/record.ts'
import { openElsewhere } from './contract-process.ts'
import { pollMs } from './follow.ts'
import { type Claim, type Job, openQueue, type Queue, type QueueEvent, type QueueOptions } from './index.ts'

type Engine = {
  /** An empty queue. */
  newUrl(): string
  /** Kills the engine as by SIGKILL and restarts it; does nothing where it runs in its users' processes. */
  crash(): Promise<void>
  /** Runs an SQL statement on a queue while others use it. */
  run(url: string, sql: string): Promise<void>
  stop(): Promise<void>
}

export const crash: FailureReason = { code: 'crash', detail: 'It crashed.' }
export const undecodable: FailureReason = { code: 'undecodable', detail: 'It is no photo.' }
const never = new AbortController().signal
const leaseMs = 30_000
const sweeper = { worker: 'sweeper', leaseMs }

export const job = (more: Partial<Job> = {}): Job => ({
  photo: newPhotoId(Date.now()),
  owner: '0123456789abcdef0123456789abcdef',
  receivedAt: Date.now(),
  promiseBy: Date.now() + 60_000,
  promise: true,
  ...more,
})

const jobs = (count: number, more: Partial<Job> = {}): Job[] => Array.from({ length: count }, () => job(more))

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Ten thousand with TEST_FULL=1. */
const many = process.env.TEST_FULL ? 10_000 : 1_000

/** A queue that the test closes. */
export async function opened(url: string, options: QueueOptions = {}): Promise<Queue> {
  const queue = await openQueue(url, options)
  onTestFinished(() => queue.close())
  return queue
}

/** What every queue adapter must do. */
export function queueContract(name: string, start: () => Promise<Engine>): void {
  let engine: Engine
  beforeAll(async () => {
    engine = await start()
  })
  afterAll(() => engine.stop())

  let url: string
  beforeEach(() => {
    url = engine.newUrl()
  })
  /** Opens the test's own queue; repeated calls open the same one. */
  const openQueue = (options?: QueueOptions) => opened(url, options)
  async function elsewhere(options: QueueOptions = {}) {
    const other = await openElsewhere(url, options)
    onTestFinished(other.kill)
    return other
  }
  /** Claims and completes all waiting jobs. */
  async function drain(queue: Queue): Promise<Claim[]> {
    const done: Claim[] = []
    while ((await queue.stats()).depth > 0) {
      const claim = await claimNow(queue)
      if (claim === 'aborted') continue
      await queue.complete(claim, Date.now())
      done.push(claim)
    }
    return done
  }
  async function claimed(queue: Queue, lease = leaseMs): Promise<Claim> {
    const claim = await queue.claim('test', lease, never)
    if (claim === 'aborted') throw new Error('the test did not abort it')
    return claim
  }
  const timeIs = (at: number) => until(() => Date.now() >= at, { what: 'the time' })
  /** Claims a job; null when none waits within a moment. */
  const claimNow = (queue: Queue, lease = leaseMs, withinMs = 300) =>
    queue.claim('test', lease, AbortSignal.timeout(withinMs))
  async function stateOf(queue: Queue, photo: string) {
    const known = await queue.look(photo)
    return known === 'unknown' ? known : known.state
  }
  async function outcomeOf({ photo }: Job, queue: Queue) {
    return (await collect(everyOutcome(queue))).filter(each => each.photo === photo).map(each => each.outcome)
  }

  describe(`queue ${name}`, () => {
    describe('two versions on one queue', () => {
      const two = () => Promise.all([openQueue({ version: 'old' }), openQueue({ version: 'new' })] as const)
      const announced = (queue: Queue, id: string) => queue.announce({ id, slots: 1, serviceSeconds: 1 })

      test('a job is claimed by a converter of the version whose web accepted it, while one is live', async () => {
        const [older, newer] = await two()
        await announced(older, 'a')
        await announced(newer, 'b')
        const [first, second] = jobs(2) as [Job, Job]
        await newer.enqueue(first)
        await older.enqueue(second)
        expect(await claimed(older)).toMatchObject({ job: { photo: second.photo } })
        expect(await claimNow(older)).toBe('aborted')
        expect(await claimed(newer)).toMatchObject({ job: { photo: first.photo } })
      })

      test('a job of a version that no live converter has goes to any', async () => {
        const [older, newer] = await two()
        await announced(newer, 'b')
        const each = job()
        await older.enqueue(each)
        expect(await claimed(newer)).toMatchObject({ job: { photo: each.photo } })
      })

      test('a job of a version goes to another one when its last converter was silent for 10 s, not before', {
        timeout: 30_000,
      }, async () => {
        const [older, newer] = await two()
        const silentSince = Date.now()
        await announced(older, 'a')
        await announced(newer, 'b')
        const each = job()
        await older.enqueue(each)
        const claim = await claimed(newer)
        expect(claim.job.photo).toBe(each.photo)
        expect(Date.now() - silentSince).toBeGreaterThan(9_900)
      })

      test('a broken promise is counted by its own version, and by another one 10 s later', async () => {
        const [older, newer] = await two()
        await announced(older, 'a')
        const [late, tooLate] = [job({ promiseBy: Date.now() - 1 }), job({ promiseBy: Date.now() - 10_001 })]
        await older.enqueue(late)
        await older.enqueue(tooLate)
        const photos = async (queue: Queue) => (await queue.overdue(9)).map(each => each.job.photo)
        expect(await photos(newer)).toEqual([tooLate.photo])
        expect(await photos(older)).toEqual([tooLate.photo, late.photo])
      })

      test('nothing fails while a later release adds columns', async () => {
        const queue = await openQueue()
        const errors: unknown[] = []
        let done = 0
        let working = true
        onTestFinished(() => {
          working = false // also when the test fails, or its loops would never end
        })
        const work = async () => {
          while (working) {
            try {
              await queue.enqueue(job())
              const claim = await claimed(queue)
              await queue.renew(claim, leaseMs)
              await queue.complete(claim, Date.now())
              await queue.announce({ id: 'a', slots: 1, serviceSeconds: 1 })
              await Promise.all([queue.stats(), queue.overdue(1), queue.tombstones(1), queue.deadLetters(1)])
              done++
            } catch (error) {
              errors.push(error)
            }
          }
        }
        const loops = [work(), work(), work()]
        await until(() => done > 20)
        for (const table of ['jobs', 'events', 'workers'])
          await engine.run(url, `ALTER TABLE ${table} ADD COLUMN later TEXT NOT NULL DEFAULT ''`)
        const before = done
        await until(() => done > before + 20)
        working = false
        await Promise.all(loops)
        expect(errors).toEqual([])
      })

      test('a job in a newer format is left for those who know it', async () => {
        const queue = await openQueue()
        const [newer, known] = jobs(2) as [Job, Job]
        await queue.enqueue(newer)
        await engine.run(url, `UPDATE jobs SET format = 2`)
        await queue.enqueue(known)
        expect(await claimed(queue)).toMatchObject({ job: { photo: known.photo } })
        expect(await claimNow(queue)).toBe('aborted')
        expect(await stateOf(queue, newer.photo)).toBe('queued')
      })
    })

    describe('work is never lost', () => {
      test('each acknowledged enqueue survives SIGKILL of its producer and of the engine, and no id is stranded', {
        timeout: 120_000,
      }, async () => {
        const queue = await openQueue()
        for (const killAfter of [1, 40]) {
          const producer = await elsewhere()
          const all = jobs(80)
          const acked = new Set<string>()
          const reached = Promise.withResolvers<void>()
          for (const each of all) {
            const enqueued = () => {
              acked.add(each.photo)
              if (acked.size === killAfter) reached.resolve()
            }
            producer.queue.enqueue(each).then(enqueued, () => {})
          }
          await reached.promise
          await producer.kill()
          await engine.crash()

          const again = await Promise.all(all.map(each => queue.enqueue(each)))
          for (const [i, answer] of again.entries())
            if (acked.has(all[i]?.photo ?? '')) expect(answer).toBe('already')
          const done = await drain(queue)
          expect(done.map(claim => claim.job.photo).sort()).toEqual(all.map(each => each.photo).sort())
        }
      })

      test('the job of a worker killed by SIGKILL is claimed again when its lease is over, not before', async () => {
        const queue = await openQueue()
        const worker = await elsewhere()
        await queue.enqueue(job())
        const lost = (await worker.queue.claim('victim', 700)) as Claim
        await worker.kill()
        const again = await claimed(queue)
        const late = Date.now() - (lost.claimedAt + 700)
        expect(again).toMatchObject({ job: lost.job, attempt: 2 })
        expect(late).toBeGreaterThanOrEqual(0)
        expect(late, 'not at the end of a lease of the default length').toBeLessThan(leaseMs / 2)
      })

      test('claims survive a crash of the engine', async () => {
        const queue = await openQueue()
        await queue.enqueue(job())
        const claim = await claimed(queue)
        await engine.crash()
        expect(await queue.complete(claim, Date.now())).toEqual({ marked: 'kept' })
      })
    })

    describe('work is never done under a stale lease', () => {
      test('a renewed job is not given to another', async () => {
        const queue = await openQueue()
        await queue.enqueue(job())
        const claim = await claimed(queue, 5_000)
        expect(await queue.renew(claim, leaseMs)).toBe('held')
        await timeIs(claim.claimedAt + 5_000)
        expect(await claimNow(queue)).toBe('aborted')
        expect(await queue.complete(claim, Date.now())).toEqual({ marked: 'kept' })
      })

      test('a worker stopped past its lease is refused when it goes on', async () => {
        const queue = await openQueue()
        const worker = await elsewhere()
        const work = job()
        await queue.enqueue(work)
        const stale = (await worker.queue.claim('stopped', 400)) as Claim
        worker.process.kill('SIGSTOP')
        const fresh = await claimed(queue)
        const answers = Promise.all([
          worker.queue.renew(stale, leaseMs),
          worker.queue.complete(stale, Date.now()),
          worker.queue.fail(stale, undecodable, Date.now()),
          worker.queue.release(stale),
        ])
        worker.process.kill('SIGCONT')
        expect(await answers).toEqual(['stale', 'stale', 'stale', 'stale'])
        expect(await stateOf(queue, work.photo)).toBe('converting')
        expect(await queue.complete(fresh, Date.now())).toEqual({ marked: 'kept' })
      })

      test('an attempt whose worker was only suspended is given back, a limited number of times', async () => {
        const queue = await openQueue({ maxAttempts: 3 })
        const work = job()
        await queue.enqueue(work)
        for (let times = 0; times < 11; times++) {
          const claim = await claimed(queue, 20)
          expect(claim.attempt).toBe(1)
          await timeIs(claim.claimedAt + 21)
          if (times % 2) await queue.claimLost(sweeper, 1) // also when the lease was taken back before
          expect(await queue.renew(claim, leaseMs)).toBe('stale')
          expect(await queue.renew(claim, leaseMs), 'once').toBe('stale')
        }
        const failing = await claimed(queue)
        await queue.fail(failing, crash, Date.now())
        expect(await queue.renew(failing, leaseMs), 'a failure counts').toBe('stale')
        expect((await claimed(queue)).attempt).toBe(failing.attempt + 1)
      })

      test('a lease that is over is refused even when no other worker took the job', async () => {
        const queue = await openQueue()
        await queue.enqueue(job())
        const claim = await claimed(queue, 50)
        await timeIs(claim.claimedAt + 50)
        expect(await queue.complete(claim, Date.now())).toBe('stale')
        expect(await queue.renew(claim, leaseMs)).toBe('stale')
      })

      test('completing twice changes nothing', async () => {
        const queue = await openQueue()
        const work = job()
        await queue.enqueue(work)
        const claim = await claimed(queue)
        expect(await queue.complete(claim, Date.now())).toEqual({ marked: 'kept' })
        expect(await queue.complete(claim, Date.now() + 90_000)).toBe('stale')
        expect(await queue.fail(claim, undecodable, Date.now())).toBe('stale')
        expect(await outcomeOf(work, queue)).toEqual(['kept'])
      })

      test('a job that waited longer than a lease runs once', async () => {
        const queue = await openQueue()
        await queue.enqueue(job())
        await timeIs(Date.now() + 300)
        const claim = await claimed(queue, 100_000)
        expect(claim.attempt).toBe(1)
        expect(claim.waitedMs).toBeGreaterThanOrEqual(290)
        expect(await claimNow(queue)).toBe('aborted')
        await queue.complete(claim, Date.now())
      })

      test(`many workers in two processes take ${many.toLocaleString('en')} jobs, each of them once`, {
        timeout: 120_000,
      }, async () => {
        const queue = await openQueue({ maxDepth: 2 * many })
        const worker = await elsewhere()
        const all = jobs(many)
        await Promise.all(all.map(each => queue.enqueue(each)))
        const done: string[] = []
        const work = async (here: Pick<Queue, 'complete'>, claim: () => Promise<Claim | 'aborted'>) => {
          for (;;) {
            const held = await claim()
            if (held === 'aborted') return
            if ((await here.complete(held, Date.now())) !== 'stale') done.push(held.job.photo)
            if (done.length === all.length) return finished.abort()
          }
        }
        const finished = new AbortController()
        const local = () => queue.claim('here', leaseMs, finished.signal)
        const remote = () =>
          Promise.race([
            worker.queue.claim('there', leaseMs),
            new Promise<'aborted'>(resolve =>
              finished.signal.addEventListener('abort', () => resolve('aborted')),
            ),
          ])
        await Promise.all([
          ...Array.from({ length: 24 }, () => work(queue, local)),
          ...Array.from({ length: 24 }, () => work(worker.queue, remote)),
        ])
        expect(new Set(done).size).toBe(all.length)
        expect(done.length).toBe(all.length)
      })
    })

    describe('enqueue', () => {
      test('the same photo, enqueued by many at once from two processes, is one job', async () => {
        const queue = await openQueue()
        const other = await elsewhere()
        const work = job()
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, i) => (i % 2 ? queue : other.queue).enqueue(work)),
        )
        expect(answers.filter(answer => answer === 'queued')).toHaveLength(1)
        expect(await drain(queue)).toHaveLength(1)
        expect(await queue.enqueue(work), 'also after it is done').toBe('already')
        expect(await claimNow(queue)).toBe('aborted')
      })

      test('a full queue says so and takes nothing, until there is room', async () => {
        const queue = await openQueue({ maxDepth: 3 })
        const answers = await Promise.all(jobs(5).map(each => queue.enqueue(each)))
        expect(answers.sort()).toEqual(['full', 'full', 'queued', 'queued', 'queued'])
        expect((await queue.stats()).depth).toBe(3)
        await queue.complete(await claimed(queue), Date.now())
        expect(await queue.enqueue(job())).toBe('queued')
      })

      test('a job comes back as it went in', async () => {
        const queue = await openQueue()
        const work = job({
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
          promiseBy: Date.now() + 12_345.678,
          promise: false,
        })
        await queue.enqueue(work)
        expect((await claimed(queue)).job).toEqual(work)
        await queue.enqueue(job())
        expect(Object.keys((await claimed(queue)).job)).not.toContain('traceparent')
      })

      test('jobs leave in the order in which they came', async () => {
        const queue = await openQueue()
        const all = jobs(4)
        for (const each of all) await queue.enqueue(each)
        expect((await drain(queue)).map(claim => claim.job.photo)).toEqual(all.map(each => each.photo))
      })
    })

    describe('failure', () => {
      test('a job that fails through us is tried again with growing, scattered delays, then is a dead letter, and can be replayed', async () => {
        const queue = await openQueue({ maxAttempts: 3 })
        const work = job()
        await queue.enqueue(work)
        let due = 0
        for (const [attempt, least, most] of [
          [1, 500, 1_000],
          [2, 1_000, 2_000],
        ] as const) {
          const claim = await claimed(queue)
          expect(claim.attempt).toBe(attempt)
          expect(Date.now()).toBeGreaterThanOrEqual(due)
          const before = Date.now()
          const answer = await queue.fail(claim, crash, Date.now())
          if (typeof answer === 'string' || answer.next !== 'retry') throw new Error(`it must be tried again`)
          expect(answer.at - before).toBeGreaterThanOrEqual(least)
          expect(answer.at - Date.now()).toBeLessThanOrEqual(most)
          due = answer.at
        }
        const last = await claimed(queue)
        expect(Date.now()).toBeGreaterThanOrEqual(due)
        expect(await queue.fail(last, crash, Date.now())).toMatchObject({ next: 'dead', marked: 'broken' })
        expect(await stateOf(queue, work.photo)).toBe('dead')
        expect(await queue.deadLetters(10)).toEqual([{ job: work, attempts: 3, reason: crash }])
        expect((await queue.stats()).dead).toBe(1)

        expect(await queue.replay(work.photo)).toBe('queued')
        expect(await queue.replay(work.photo)).toBe('unknown')
        const replayed = await claimed(queue)
        expect(replayed).toMatchObject({ job: work, attempt: 1 })
        expect(await queue.complete(replayed, work.promiseBy + 1), 'its outcome stays').toEqual({
          marked: null,
        })
        expect(await outcomeOf(work, queue)).toEqual(['broken'])
        expect(await queue.deadLetters(10)).toEqual([])

        expect(await queue.replay(work.photo), 'its result was lost').toBe('queued')
        const again = { state: 'queued', outcome: 'broken', durableAt: null }
        expect(await queue.look(work.photo)).toEqual(again)
      })

      test('a job that kills its workers is a dead letter after exactly so many attempts, and broken', async () => {
        const queue = await openQueue({ maxAttempts: 3 })
        const work = job()
        await queue.enqueue(work)
        for (const attempt of [1, 2, 3]) {
          const claim = await claimed(queue, 100)
          expect(claim.attempt).toBe(attempt)
          await timeIs(claim.claimedAt + 100)
        }
        expect(await claimNow(queue)).toBe('aborted')
        const [lost, ...others] = await queue.claimLost(sweeper, 10)
        expect([lost, others]).toMatchObject([{ job: work, attempt: 3, lastAttempt: true }, []])
        expect(await queue.claimLost(sweeper, 10), 'while another sweeper ends it').toEqual([])
        const end = () => queue.fail(lost as Claim, crash, Date.now())
        expect(await end()).toEqual({ next: 'dead', marked: 'broken' })
        expect(await end()).toBe('stale')
        expect(await queue.claimLost(sweeper, 10)).toEqual([])
        expect(await stateOf(queue, work.photo)).toBe('dead')
        expect(await outcomeOf(work, queue)).toEqual(['broken'])
        expect(await queue.deadLetters(1)).toMatchObject([{ attempts: 3, reason: { code: 'crash' } }])
      })

      test('bytes that prove bad end at once: void in time, broken when late', async () => {
        const queue = await openQueue()
        const [inTime, late] = [job(), job({ promiseBy: Date.now() - 1 })]
        await queue.enqueue(inTime)
        expect(await queue.fail(await claimed(queue), undecodable, Date.now())).toMatchObject({
          next: 'failed',
          marked: 'void',
        })
        await queue.enqueue(late)
        expect(await queue.fail(await claimed(queue), undecodable, Date.now())).toMatchObject({
          next: 'failed',
          marked: 'broken',
        })
        expect(await stateOf(queue, inTime.photo)).toBe('done')
        expect(await queue.deadLetters(10)).toEqual([])
      })

      test('a drained claim goes back uncharged, in its old place', async () => {
        const queue = await openQueue()
        const [first, second] = jobs(2)
        if (!first || !second) throw new Error('two jobs')
        await queue.enqueue(first)
        await queue.enqueue(second)
        expect(await queue.release(await claimed(queue))).toBe('released')
        expect(await claimed(queue)).toMatchObject({ job: first, attempt: 1 })
        expect(await claimed(queue)).toMatchObject({ job: second, attempt: 1 })
      })

      test('an aborted claim strands nothing, whenever the abort comes', async () => {
        const queue = await openQueue()
        const work = job()
        await queue.enqueue(work)
        for (let i = 0; i < 20; i++) {
          const abort = new AbortController()
          const claim = queue.claim('test', leaseMs, abort.signal)
          if (i % 2) await queue.look(work.photo)
          abort.abort()
          const held = await claim
          if (held !== 'aborted') expect(await queue.release(held)).toBe('released')
        }
        expect(await claimed(queue)).toMatchObject({ job: work, attempt: 1 })
      })
    })

    describe('each promise has one outcome', () => {
      test('kept when the thumbnails were durable in time, broken when not, none for a probe', async () => {
        const queue = await openQueue()
        const [kept, broken, probe] = [job(), job(), job({ promise: false })]
        for (const [each, durableAt, marked] of [
          [kept, kept.promiseBy, 'kept'],
          [broken, broken.promiseBy + 1, 'broken'],
          [probe, 0, null],
        ] as const) {
          await queue.enqueue(each)
          expect(await queue.complete(await claimed(queue), durableAt)).toEqual({ marked })
        }
        expect(await outcomeOf(probe, queue)).toEqual([])
      })

      test('a promise that is over is marked once over all processes, wherever the photo is', async () => {
        const queue = await openQueue()
        const other = await elsewhere()
        const late = Array.from({ length: 50 }, () => job({ promiseBy: Date.now() }))
        const [inTime, probe] = [job(), job({ promise: false, promiseBy: Date.now() })]
        // A claim takes the first row, and calls that wait for each other's transactions may change places.
        for (const jobs of [late, [inTime, probe]]) await Promise.all(jobs.map(each => queue.enqueue(each)))
        const held = await claimed(queue)
        const over = await queue.overdue(1_000)
        expect(over.map(({ job: { photo } }) => photo).sort()).toEqual(late.map(each => each.photo).sort())
        expect(over.filter(({ tried }) => tried).map(({ job: { photo } }) => photo)).toEqual([held.job.photo])
        const marks = await Promise.all(
          over.flatMap(({ job: { photo } }) =>
            Array.from({ length: 4 }, (_, i) => (i % 2 ? queue : other.queue).mark(photo, 'broken')),
          ),
        )
        expect(marks.filter(marked => marked !== null)).toEqual(late.map(() => 'broken'))
        expect(await queue.overdue(1_000)).toEqual([])
        expect(await queue.complete(held, Date.now()), 'it has its outcome').toMatchObject({ marked: null })
      })

      test('completed, marked and removed at once over three queues, a promise is marked once', async () => {
        const [one, two, three] = [await openQueue(), await openQueue(), await openQueue()]
        const all = jobs(100)
        await Promise.all(all.map(each => one.enqueue(each)))
        const claims = await Promise.all(all.map(() => claimed(one)))
        const answers = await Promise.all(
          claims.map(claim =>
            Promise.all([
              one.complete(claim, Date.now()),
              two.mark(claim.job.photo, 'broken'),
              three.remove(claim.job.photo, claim.job.owner),
            ]),
          ),
        )
        const marks = new Map<string, unknown>()
        for (const [i, [completed, marked, removed]] of answers.entries()) {
          const all = [typeof completed === 'object' && completed.marked, marked, removed.marked]
          expect(all.filter(Boolean)).toHaveLength(1)
          marks.set(claims[i]?.job.photo ?? '', all.find(Boolean))
        }
        const outcomes = await collect(everyOutcome(one))
        expect(outcomes).toHaveLength(all.length)
        for (const { photo, outcome } of outcomes) expect(marks.get(photo)).toBe(outcome)
      })

      test('a result that claims a minute which was marked broken is corrected before the photo ends', async () => {
        const queue = await openQueue()
        const [ready, bad] = [job(), job()]
        for (const work of [ready, bad]) {
          await queue.enqueue(work)
          expect(await queue.mark(work.photo, 'broken')).toBe('broken')
        }
        const first = await claimed(queue)
        expect(await queue.complete(first, ready.promiseBy)).toBe('late')
        expect(await queue.complete(first, ready.promiseBy + 1)).toEqual({ marked: null })
        const second = await claimed(queue)
        expect(await queue.fail(second, undecodable, bad.promiseBy)).toBe('late')
        expect(await queue.fail(second, undecodable, bad.promiseBy + 1)).toEqual({
          next: 'failed',
          marked: null,
        })
      })

      test('a deleted photo is void, broken when its minute was over, and worked on no more', async () => {
        const queue = await openQueue()
        const [waiting, held, late] = [job(), job(), job({ promiseBy: Date.now() - 1 })]
        await queue.enqueue(held)
        const claim = await claimed(queue)
        await queue.enqueue(waiting)
        await queue.enqueue(late)
        const { owner } = waiting
        expect(await queue.remove(waiting.photo, owner)).toEqual({ marked: 'void' })
        expect(await queue.remove(waiting.photo, owner)).toEqual({ marked: null })
        expect(await queue.remove(held.photo, owner)).toEqual({ marked: 'void' })
        expect(await queue.remove(late.photo, owner)).toEqual({ marked: 'broken' })
        expect(await queue.complete(claim, Date.now())).toBe('stale')
        expect(await claimNow(queue)).toBe('aborted')
      })

      test('a tombstone refuses work for good, and is listed until it is buried', async () => {
        const queue = await openQueue()
        const [never, known] = [job(), job()]
        const { owner } = never
        await queue.enqueue(known)
        expect((await queue.knownPhotos()).map(({ photo }) => photo)).toEqual([known.photo])
        expect(await queue.remove(never.photo, owner)).toEqual({ marked: null })
        expect(await queue.enqueue(never)).toBe('deleted')
        expect(await queue.remove(known.photo, owner)).toEqual({ marked: 'void' })
        expect(await queue.enqueue(known)).toBe('deleted')
        expect((await queue.tombstones(10)).map(({ photo }) => photo).sort()).toEqual(
          [never.photo, known.photo].sort(),
        )
        await queue.bury(never.photo)
        await queue.bury(known.photo)
        expect(await queue.knownPhotos()).toEqual([])
        expect(await queue.tombstones(10)).toEqual([])
        expect(await queue.enqueue(known), 'also when it is buried').toBe('deleted')
        expect(await claimNow(queue)).toBe('aborted')
      })

      test('a restored photo is known and done, and its outcome is not given again', async () => {
        const queue = await openQueue()
        const [kept, probe] = [job({ promiseBy: 1 }), job({ promise: false })]
        expect(await queue.restore(kept, 'kept')).toBe('restored')
        expect(await queue.restore(kept, 'broken')).toBe('known')
        expect(await queue.restore(probe, null)).toBe('restored')
        expect(await queue.enqueue(kept)).toBe('already')
        expect(await stateOf(queue, kept.photo)).toBe('done')
        expect(await queue.overdue(10)).toEqual([])
        expect(await outcomeOf(kept, queue)).toEqual(['kept'])
      })
    })

    describe('news', () => {
      test('a waiting worker in another process wakes at an enqueue, before it would poll', async () => {
        const queue = await openQueue()
        const worker = await elsewhere()
        const delays: number[] = []
        for (let i = 0; i < 15; i++) {
          const claim = worker.queue.claim('waiting', leaseMs)
          await worker.queue.stats() // answered after the claim found nothing
          await queue.enqueue(job())
          const enqueued = performance.now()
          await worker.queue.complete((await claim) as Claim, Date.now())
          delays.push(performance.now() - enqueued)
        }
        // The second: a busy machine delays most. Without a doorbell each would take a whole interval.
        expect(delays.sort((a, b) => a - b)[1]).toBeLessThan(pollMs / 2)
      })

      test('events arrive in order from the call on, and again after the last one seen', async () => {
        const queue = await openQueue()
        const listener = await openQueue()
        const stop = new AbortController()
        const work = job()
        const listening = listener.events(await listener.lastEvent(), stop.signal)
        const received: QueueEvent[] = []
        let isBegun = false
        const reading = (async () => {
          for await (const event of listening) {
            isBegun = true
            if (event.photo === work.photo) received.push(event)
            if (received.length === 4) stop.abort()
          }
        })()
        // A server answers on several connections: listening has begun when an event arrives.
        while (!isBegun) {
          const other = job()
          await queue.enqueue(other)
          await queue.remove(other.photo, other.owner)
        }
        await queue.enqueue(work)
        await queue.complete(await claimed(queue), Date.now())
        await queue.remove(work.photo, work.owner)
        await reading
        expect(received.map(event => event.state)).toEqual(['queued', 'converting', 'ready', 'deleted'])
        expect(received.every(({ photo, owner }) => photo === work.photo && owner === work.owner)).toBe(true)

        const again = new AbortController()
        const rest: QueueEvent[] = []
        for await (const event of queue.events(received[1]?.seq ?? 0, again.signal)) {
          rest.push(event)
          if (rest.length === 2) again.abort()
        }
        expect(rest).toEqual(received.slice(2))
      })

      test('no event is left out, however many processes write at once', async () => {
        const listener = await openQueue()
        const writers = [await openQueue(), (await elsewhere()).queue, (await elsewhere()).queue]
        const stop = new AbortController()
        onTestFinished(() => stop.abort())
        let written = 0
        /** Lowered once listening has begun; below the depth at which the queue is full. */
        let most = 9_000
        /** Photos whose enqueue was called after listening had begun, and whose event has not come. */
        let due: Set<string> | undefined
        const write = async (queue: Pick<Queue, 'enqueue'>) => {
          while (!stop.signal.aborted && written < most) {
            const work = job()
            due?.add(work.photo)
            await queue.enqueue(work)
            written++
          }
        }
        const writing = writers.flatMap(queue => Array.from({ length: 8 }, () => write(queue)))
        await until(() => written > 200)
        const listening = listener.events(await listener.lastEvent(), stop.signal)[Symbol.asyncIterator]()
        // A server answers on several connections: listening has begun when an event arrives.
        let { seq: seen } = (await listening.next()).value as QueueEvent
        due = new Set()
        most = Math.min(most, written + 1_000)
        await Promise.all(writing)
        expect(due.size).toBeGreaterThan(0)
        while (due.size > 0) {
          const { seq, photo } = (await listening.next()).value as QueueEvent
          expect(seq).toBeGreaterThan(seen)
          seen = seq
          due.delete(photo)
        }
        stop.abort()
      })

      test('a reader that comes back gets its own events only, and a reset when what it missed cannot be known', async () => {
        const queue = await openQueue()
        const [mine, other] = [job(), job({ owner: 'f'.repeat(32) })]
        await queue.enqueue(mine)
        await queue.enqueue(other)
        const { lastEvent } = await queue.stats()
        expect(await queue.eventsOf(mine.owner, lastEvent - 2)).toMatchObject([{ photo: mine.photo }])
        expect(await queue.eventsOf(mine.owner, lastEvent)).toEqual([])
        expect(await queue.eventsOf(mine.owner, lastEvent + 1), 'beyond the end').toBe('reset')
        expect(await queue.eventsOf(mine.owner, 7), 'of an earlier queue').toBe('reset')
      })

      test('a worker that restarts is counted on with its slots and its service time', async () => {
        const queue = await openQueue()
        await queue.announce({ id: 'a', slots: 0, serviceSeconds: 0 })
        expect(await queue.stats()).toMatchObject({ liveSlots: 0, serviceSeconds: null })
        await queue.announce({ id: 'a', slots: 3, serviceSeconds: 0.1 })
        await queue.announce({ id: 'a', slots: 0, serviceSeconds: 0.2 })
        expect(await queue.stats()).toMatchObject({ liveSlots: 3, serviceSeconds: 0.1 })
        await queue.announce({ id: 'a', slots: 2, serviceSeconds: 0 })
        expect(await queue.stats()).toMatchObject({ liveSlots: 2, serviceSeconds: 0.1 })
      })

      test('stats have depth, age, leases and the live workers', async () => {
        const queue = await openQueue()
        await Promise.all(jobs(3).map(each => queue.enqueue(each)))
        await claimed(queue)
        await queue.announce({ id: 'fast', slots: 3, serviceSeconds: 0.1 })
        await queue.announce({ id: 'slow', slots: 1, serviceSeconds: 0.4 })
        await queue.announce({ id: 'fresh', slots: 2, serviceSeconds: 0 })
        await timeIs(Date.now() + 50)
        const stats = await queue.stats()
        expect(stats).toMatchObject({ depth: 2, claimed: 1, liveSlots: 6 })
        expect(stats.oldestSeconds).toBeGreaterThanOrEqual(0.05)
        // 3 slots at 10 photos a second and 1 at 2.5: 32.5 a second by four slots.
        expect(stats.serviceSeconds).toBeCloseTo(4 / 32.5)
      })
    })
  })
}
