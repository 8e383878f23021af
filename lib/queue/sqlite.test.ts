import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { smallDisk, temporaryFolder } from '../../test/support.ts'
import { crash, job, queueContract, undecodable } from './contract.ts'
import { openEngine } from './engine.ts'
import { type Claim, open, type Queue } from './index.ts'
import * as reads from './reads.ts'
import * as writes from './writes.ts'

queueContract('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-queue-'))
  return {
    newUrl: () => `sqlite:${join(folder, randomUUID(), 'queue.sqlite')}`,
    crash: async () => {},
    stop: () => rm(folder, { recursive: true, force: true }),
  }
})

async function opened(file: string): Promise<Queue> {
  const queue = await open(`sqlite:${file}`)
  onTestFinished(() => queue.close())
  return queue
}

describe('the SQLite file', () => {
  test('a lost doorbell delays by no more than the poll', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    const waiting = await opened(file)
    await rm(`${file}.bell`)
    const other = await opened(file) // rings a bell that nobody hears
    const claim = waiting.claim('test', 30_000, new AbortController().signal)
    await waiting.stats()
    await other.enqueue(job())
    const enqueued = performance.now()
    expect(await claim).toMatchObject({ attempt: 1 })
    expect(performance.now() - enqueued).toBeLessThan(3_000)
  })

  test('an engine that another process keeps busy is an error, and nothing is acknowledged', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    const queue = await opened(file)
    const other = new DatabaseSync(file)
    onTestFinished(() => other.close())
    other.exec('BEGIN IMMEDIATE')
    const work = job()
    await expect(queue.enqueue(work)).rejects.toThrow('queue could not enqueue: database is locked')
    other.exec('COMMIT')
    expect(await queue.state(work.photo)).toBe('unknown')
    expect(await queue.enqueue(work)).toBe('queued')
  })

  test('a full disk is an error, nothing is acknowledged, and it goes on when there is room', async context => {
    const folder = await smallDisk(context, 2_000_000)
    const queue = await opened(join(folder, 'queue.sqlite'))
    const first = job()
    expect(await queue.enqueue(first)).toBe('queued')
    await writeFile(join(folder, 'filler'), Buffer.alloc(2_000_000)).catch(() => {})
    const acked = new Set([first.photo])
    const failed = new Set<string>()
    while (failed.size < 3) {
      const work = job({ traceparent: 'x'.repeat(5_000) })
      await queue.enqueue(work).then(
        () => acked.add(work.photo),
        error => {
          expect(error.message).toMatch(/full|disk I\/O/)
          failed.add(work.photo)
        },
      )
    }
    await rm(join(folder, 'filler'))
    for (const photo of acked) expect(await queue.state(photo)).toBe('queued')
    for (const photo of failed) expect(await queue.state(photo)).toBe('unknown')
    expect(await queue.enqueue(job())).toBe('queued')
  })

  test('a file that is no database is refused with its name', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    await writeFile(file, 'this is no database, however long it may be'.repeat(100))
    await expect(open(`sqlite:${file}`)).rejects.toThrow(/queue\.sqlite": file is not a database/)
  })

  test('an enqueue waits for the disk; a claim, which a power cut may undo, does not', async context => {
    if (spawnSync('strace', ['-V']).error) return context.skip('strace is not installed')
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'q'))
    const script = join(folder, 'calls.ts')
    await writeFile(
      script,
      `import { writeFileSync } from 'node:fs'
       import { open } from '${join(import.meta.dirname, 'index.ts')}'
       const mark = text => writeFileSync('${folder}/mark', text)
       const queue = await open('sqlite:${folder}/q/queue.sqlite')
       const jobs = ${JSON.stringify([job(), job(), job()])}
       for (const job of jobs) { mark('enqueue'); await queue.enqueue(job) }
       for (const job of jobs) { mark('claim'); await queue.claim('w', 60000, new AbortController().signal) }
       mark('end')
       process.exit(0)`,
    )
    const log = join(folder, 'strace')
    const traced = ['-f', '-qq', '-s', '20', '-o', log, '-e', 'trace=fsync,fdatasync,write', process.execPath]
    const { status } = spawnSync('strace', [...traced, script])
    if (status !== 0) return context.skip('strace may not trace here')
    // One entry a call: how often it waited for the disk.
    const syncs: Record<string, number[]> = { enqueue: [], claim: [], end: [] }
    let call = 'end'
    for (const line of (await readFile(log, 'utf8')).split('\n')) {
      const [, mark] = /write\(\d+, "(enqueue|claim|end)"/.exec(line) ?? []
      const counts = syncs[mark ?? call]
      call = mark ?? call
      if (mark) counts?.push(0)
      else if (/(fdatasync|fsync)\(/.test(line)) counts?.push((counts.pop() ?? 0) + 1)
    }
    expect(syncs.enqueue).toHaveLength(3)
    expect(syncs.enqueue?.every(count => count >= 1)).toBe(true)
    expect(syncs.claim).toEqual([0, 0, 0])
  })
})

describe('the engine', () => {
  function engineAt(start: number, limits = { maxAttempts: 3, maxDepth: 1e6 }) {
    const time = { now: start }
    const db = new DatabaseSync(':memory:')
    onTestFinished(() => db.close())
    return { time, db, engine: openEngine(db, limits, () => time.now) }
  }
  const day = 86_400_000

  test('keeps an outcome and the knowledge of an id for a week, then lets them go', () => {
    const { engine, time } = engineAt(1_000 * day)
    const [done, waiting] = [job({ promiseBy: time.now + 60_000 }), job({ promiseBy: time.now + 60_000 })]
    writes.enqueue(engine, done)
    const claim = writes.claim(engine, 'w', 5_000)
    if ('nothingBefore' in claim) throw new Error('there is work')
    writes.complete(engine, { photo: done.photo, token: claim.token }, time.now)
    writes.enqueue(engine, waiting)

    time.now += 7 * day
    writes.purge(engine)
    expect(writes.enqueue(engine, done)).toBe('already')
    expect(reads.outcomesAfter(engine, 0, 10)).toMatchObject([{ photo: done.photo, outcome: 'kept' }])
    time.now += 2 * day
    writes.purge(engine)
    expect(reads.outcomesAfter(engine, 0, 10)).toEqual([])
    expect(reads.state(engine, waiting.photo), 'work is never purged').toBe('queued')
  })

  test('keeps a bounded number of events and never uses a number twice', () => {
    const { engine, db } = engineAt(0)
    db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 51_000)
      INSERT INTO events (photo, owner, state) SELECT 'p', 'o', 'queued' FROM n`)
    writes.purge(engine)
    expect(reads.eventsAfter(engine, 0, 1)).toMatchObject([{ seq: 1_001 }])
    db.exec('DELETE FROM events')
    writes.enqueue(engine, job())
    expect(reads.lastEvent(engine)).toBe(51_001)
  })

  test('no operation reads through the finished photos', () => {
    const { engine, db } = engineAt(0)
    const texts = new Set<string>()
    const spied = { ...engine, sql: (text: string) => texts.add(text) && engine.sql(text) }
    const work = job()
    writes.enqueue(spied, work)
    const claim = writes.claim(spied, 'w', 1)
    if ('nothingBefore' in claim) throw new Error('there is work')
    const held = { photo: work.photo, token: claim.token }
    writes.renew(spied, held, 10)
    writes.release(spied, held)
    writes.cancel(spied, work.photo)
    writes.markOverdue(spied, 0)
    writes.replay(spied, work.photo)
    writes.purge(spied)
    for (const read of [reads.nextDue, reads.stats, reads.lastEvent]) read(spied)
    reads.state(spied, work.photo)
    reads.deadLetters(spied, 1)
    reads.eventsAfter(spied, 0, 1)
    for (const text of texts) {
      const plan = db.prepare(`EXPLAIN QUERY PLAN ${text}`).all() as { detail: string }[]
      const scans = plan.map(({ detail }) => detail).filter(detail => /SCAN (jobs|events)/.test(detail))
      // A scan of a partial index sees only what waits, is leased or is dead.
      expect(
        scans.filter(detail => !/INDEX jobs_(queued|claimed|dead|promised)/.test(detail)),
        text,
      ).toEqual([])
    }
  })

  test('whatever happens in whatever order: one lease at a time, one outcome a promise, nothing stranded', () => {
    const photo = fc.nat(3)
    const step = fc.oneof(
      fc.record({ do: fc.constant('enqueue' as const), photo }),
      fc.record({ do: fc.constant('cancel' as const), photo }),
      fc.record({ do: fc.constant('replay' as const), photo }),
      fc.record({ do: fc.constantFrom('claim' as const, 'sweep' as const) }),
      fc.record({
        do: fc.constantFrom('complete' as const, 'fail' as const, 'refuse' as const, 'release' as const),
        claim: fc.nat(20),
      }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.nat(20_000) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const { engine, time, db } = engineAt(0, { maxAttempts: 2, maxDepth: 3 })
        const claims: Claim[] = []
        const marks: Record<string, (string | null)[]> = {}
        const note = (photo: string, answer: object | string) => {
          if (typeof answer === 'object' && 'marked' in answer && answer.marked)
            marks[photo] = [...(marks[photo] ?? []), answer.marked as string]
        }
        /** A right is the newest claim of its photo, within its lease, and used once. */
        const settle = (index: number, use: (held: { photo: string; token: string }) => object | string) => {
          const claim = claims[index % Math.max(1, claims.length)]
          if (!claim) return
          const { photo } = claim.job
          const newest = claims.filter(each => each.job.photo === photo).at(-1)
          const answer = use({ photo, token: claim.token })
          if (answer !== 'stale') {
            expect(claim).toBe(newest)
            expect(time.now).toBeLessThan(claim.leaseUntil)
            claim.leaseUntil = 0
          }
          note(photo, answer)
        }
        const sweep = () => {
          for (const { photo } of writes.markOverdue(engine, time.now)) note(photo, { marked: 'broken' })
        }
        for (const step of steps) {
          engine.depth = null
          time.now++
          if (step.do === 'enqueue')
            writes.enqueue(engine, job({ photo: `${step.photo}`, promiseBy: time.now + 60_000 }))
          if (step.do === 'cancel') note(`${step.photo}`, writes.cancel(engine, `${step.photo}`))
          if (step.do === 'replay') writes.replay(engine, `${step.photo}`)
          if (step.do === 'wait') time.now += step.ms
          if (step.do === 'sweep') sweep()
          if (step.do === 'claim') {
            const claim = writes.claim(engine, 'w', 5_000)
            if (!('token' in claim)) continue
            const other = claims.find(
              each => each.job.photo === claim.job.photo && each.leaseUntil > time.now,
            )
            expect(other, 'one lease at a time').toBe(undefined)
            expect(claim.attempt).toBeLessThanOrEqual(2)
            claims.push(claim)
          }
          if (step.do === 'complete') settle(step.claim, held => writes.complete(engine, held, time.now))
          if (step.do === 'fail') settle(step.claim, held => writes.fail(engine, held, crash))
          if (step.do === 'refuse') settle(step.claim, held => writes.fail(engine, held, undecodable))
          if (step.do === 'release') settle(step.claim, held => writes.release(engine, held))
        }
        time.now += 100_000
        sweep()
        const rows = db.prepare('SELECT photo, outcome FROM jobs').all() as {
          photo: string
          outcome: string
        }[]
        for (const { photo, outcome } of rows) expect(marks[photo]).toEqual([outcome])
        expect(Object.keys(marks).length).toBe(rows.length)
      }),
      { numRuns: 300 },
    )
  })
})
