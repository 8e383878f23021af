import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { smallDisk, temporaryFolder } from '../../test/support.ts'
import { createFile } from '../disk.ts'
import { errorCode } from '../errors.ts'
import { secret } from '../secrets.ts'
import { openStorage } from '../storage/index.ts'
import { ownFolder } from '../telemetry/own.ts'
import { crash, job, opened, queueContract, undecodable } from './contract.ts'
import { openElsewhere } from './contract-process.ts'
import { engineOn, writeEvents } from './engine.ts'
import { pollMs } from './follow.ts'
import { type Claim, openQueue, type Queue } from './index.ts'
import type { Lease } from './job.ts'
import * as reads from './reads.ts'
import { migrateSqlite, statementsOf, withoutLocks } from './sqlite-file.ts'
import * as writes from './writes.ts'

queueContract('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-queue-'))
  return {
    newUrl: () => `sqlite:${join(folder, randomUUID(), 'queue.sqlite')}`,
    crash: async () => {},
    async run(url, sql) {
      const db = new DatabaseSync(url.slice('sqlite:'.length), { timeout: 10_000 })
      db.exec(sql)
      db.close()
    },
    stop: () => rm(folder, { recursive: true, force: true }),
  }
})

const openFile = (file: string): Promise<Queue> => opened(`sqlite:${file}`)

describe('the SQLite file', () => {
  test('a lost doorbell delays by no more than the poll', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    const waiting = await openFile(file)
    const claim = waiting.claim('test', 30_000, new AbortController().signal)
    await waiting.stats()
    await rm(`${file}.work`)
    const other = await openFile(file) // rings a bell that no process watches
    await other.enqueue(job())
    const enqueued = performance.now()
    expect(await claim).toMatchObject({ attempt: 1 })
    expect(performance.now() - enqueued).toBeLessThan(10 * pollMs)
  })

  test('only a job that waits rings for workers', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    const queue = await openFile(file)
    const rung = async () => (await stat(`${file}.work`)).mtimeMs
    const before = await rung()
    await queue.enqueue(job())
    const enqueued = await rung()
    expect(enqueued).toBeGreaterThan(before)
    const claim = (await queue.claim('test', 30_000, new AbortController().signal)) as Claim
    await queue.complete(claim, Date.now())
    expect(await rung()).toBe(enqueued)
    await queue.enqueue(job())
    await queue.release((await queue.claim('test', 30_000, new AbortController().signal)) as Claim)
    expect(await rung()).toBeGreaterThan(enqueued)
  })

  test('the first to open a folder watches the bell, which is not there yet', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    const [first, other] = [await openFile(file), await openFile(file)]
    const delays: number[] = []
    for (let times = 0; times < 4; times++) {
      const claim = first.claim('w', 30_000, new AbortController().signal)
      await first.stats() // answered after the claim found nothing
      await other.enqueue(job())
      const enqueued = performance.now()
      await claim
      delays.push(performance.now() - enqueued)
    }
    // Without the bell each would wait for what is left of the poll's interval.
    expect(Math.min(...delays)).toBeLessThan(pollMs / 2)
  })

  test('a write-ahead log that grew during a long read becomes small again, without a restart', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    const queue = await opened(`sqlite:${file}`, { maxDepth: 1_000_000 })
    const logBytes = async () => (await stat(`${file}-wal`)).size
    const enqueue = (count: number) => Promise.all(Array.from({ length: count }, () => queue.enqueue(job())))
    const backup = new DatabaseSync(file)
    backup.exec('BEGIN; SELECT count(*) FROM jobs')
    for (let times = 0; times < 50 && (await logBytes()) < 10 * 2 ** 20; times++) await enqueue(2_000)
    backup.close()
    expect(await logBytes()).toBeGreaterThan(10 * 2 ** 20)
    for (let calls = 0; calls < 3; calls++) await enqueue(1)
    expect(await logBytes()).toBeLessThan(9 * 2 ** 20)
  })

  test('an engine that another process keeps busy is an error, and nothing is acknowledged', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    const queue = await openFile(file)
    const other = new DatabaseSync(file)
    onTestFinished(() => other.close())
    other.exec('BEGIN IMMEDIATE')
    const work = job()
    const refused = await queue.enqueue(work).catch(error => error)
    expect(refused.message).toBe('queue could not enqueue: database is locked')
    expect(errorCode(refused), 'web answers 503 by it').toBe('ERR_SQLITE_ERROR')
    const took: number[] = []
    for (let times = 0; times < 3; times++) {
      const since = performance.now()
      const [again, known] = await Promise.allSettled([queue.enqueue(work), queue.look(work.photo)])
      took.push(performance.now() - since)
      expect([again.status, known.status]).toEqual(['rejected', 'fulfilled'])
    }
    expect(Math.min(...took), 'a read stands behind the write').toBeLessThan(2_000)
    other.exec('COMMIT')
    expect(await queue.look(work.photo)).toBe('unknown')
    expect(await queue.enqueue(work)).toBe('queued')
  })

  test('a full disk is an error, nothing is acknowledged, and it goes on when there is room', async context => {
    const folder = await smallDisk(context, 2_000_000)
    const queue = await openFile(join(folder, 'queue.sqlite'))
    const first = job()
    expect(await queue.enqueue(first)).toBe('queued')
    await writeFile(join(folder, 'filler'), Buffer.alloc(2_000_000)).catch(() => {})
    const acked = new Set([first.photo])
    const failed = new Set<string>()
    for (let times = 0; times < 1_000 && failed.size < 3; times++) {
      const work = job({ traceparent: 'x'.repeat(5_000) })
      await queue.enqueue(work).then(
        () => acked.add(work.photo),
        error => {
          expect(error.message).toMatch(/full|disk I\/O/)
          failed.add(work.photo)
        },
      )
    }
    expect(failed.size).toBe(3)
    await rm(join(folder, 'filler'))
    for (const photo of acked) expect(await queue.look(photo)).toMatchObject({ state: 'queued' })
    for (const photo of failed) expect(await queue.look(photo)).toBe('unknown')
    expect(await queue.enqueue(job())).toBe('queued')
  })

  test('a file that was moved away or cut to nothing, or whose log was removed, acknowledges nothing more, and its process is to start anew', async () => {
    for (const lost of ['', '-wal', '-shm', 'all its bytes']) {
      const file = join(await temporaryFolder(), 'queue.sqlite')
      const { queue, process: other } = await openElsewhere(`sqlite:${file}`)
      const ended = once(other, 'exit')
      if (lost === 'all its bytes') await truncate(file)
      else await rename(`${file}${lost}`, `${file}${lost}.away`)
      await expect(queue.enqueue(job()), lost).rejects.toThrow('-shm was moved or removed')
      await expect(queue.stats(), lost).rejects.toThrow('-shm was moved or removed')
      expect(await ended).toEqual([1, null])
    }
  })

  test('a file that is no database is refused with its name', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    await writeFile(file, 'this is no database, however long it may be'.repeat(100))
    await expect(openQueue(`sqlite:${file}`)).rejects.toThrow(/queue\.sqlite": file is not a database/)
  })

  test('a file that root made, as by sudo, is refused at the start: each upload would be', async context => {
    if (process.getuid?.() !== 0) context.skip('only root may become another user')
    const folder = await temporaryFolder()
    await (await openQueue(`sqlite:${join(folder, 'queue.sqlite')}`)).close()
    for (const each of ['', 'queue.sqlite.bell', 'queue.sqlite.work'])
      await chown(join(folder, each), 54321, 0)
    const code = `process.setuid(54321)
      const { openQueue } = await import('${import.meta.dirname}/index.ts')
      const { explainError } = await import('${import.meta.dirname}/../errors.ts')
      await openQueue('sqlite:${folder}/queue.sqlite').catch(error => console.log(explainError(error)))
      process.exit()`
    const ran = spawnSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8' })
    expect(ran.stdout).toContain(
      `EACCES: permission denied, open '${folder}/queue.sqlite'; ${folder}/queue.sqlite belongs to user 0, and this process runs as user 54321`,
    )
  })

  test('what root makes in a folder of the service’s user, as by sudo, is that user’s', async context => {
    if (process.getuid?.() !== 0) context.skip('only root may give files away')
    const folder = await temporaryFolder()
    await chown(folder, 54321, 54321)
    await (await openQueue(`sqlite:${join(folder, 'queue', 'queue.sqlite')}`)).close()
    const release = ownFolder(join(folder, 'logs', 'days'))
    if (release !== 'taken') release()
    secret('PROBE_TOKEN', '', folder)
    await (await openStorage(`file:${folder}/storage`)).put(
      'photos/17/owner/photo/original',
      Buffer.from('x'),
    )
    const made = (await readdir(folder, { recursive: true })).sort()
    expect(made).toEqual(expect.arrayContaining(['logs/days/owner.lock', 'storage/photos/17/owner/photo']))
    // A file of storage is never written again, and the owner of its folder may remove it.
    for (const each of made.filter(name => !name.endsWith('original')))
      expect([each, (await stat(join(folder, each))).uid]).toEqual([each, 54321])
    // That user could make a link to a file of the system.
    const [ofSystem, link] = [join(await temporaryFolder(), 'shadow'), join(folder, 'link')]
    await writeFile(ofSystem, '')
    await symlink(ofSystem, link)
    createFile(link)
    expect((await stat(ofSystem)).uid).toBe(0)
  })

  test('a damaged file is refused with what to do', async () => {
    const file = join(await temporaryFolder(), 'queue.sqlite')
    await (await openQueue(`sqlite:${file}`)).close()
    await truncate(file, 10_000)
    await expect(openQueue(`sqlite:${file}`)).rejects.toThrow(/malformed; .* says how to rebuild the queue$/)
  })

  test('an enqueue waits for the disk; a claim, which a power cut may undo, does not', async context => {
    if (spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status !== 0)
      return context.skip('strace is not installed, or may not trace here')
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'q'))
    const script = join(folder, 'calls.ts')
    await writeFile(
      script,
      `import { writeFileSync } from 'node:fs'
       import { openQueue } from '${join(import.meta.dirname, 'index.ts')}'
       const mark = text => writeFileSync('${folder}/mark', text)
       const queue = await openQueue('sqlite:${folder}/q/queue.sqlite')
       const jobs = ${JSON.stringify([job(), job(), job()])}
       for (const job of jobs) { mark('enqueue'); await queue.enqueue(job) }
       for (const job of jobs) { mark('claim'); await queue.claim('w', 60000, new AbortController().signal) }
       mark('end')
       process.exit(0)`,
    )
    const log = join(folder, 'strace')
    const traced = ['-f', '-qq', '-s', '20', '-o', log, '-e', 'trace=fsync,fdatasync,write', process.execPath]
    const { status, stderr } = spawnSync('strace', [...traced, script], { encoding: 'utf8' })
    expect(status, stderr).toBe(0)
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
  function engineAt(start: number, limits = { maxAttempts: 3, maxDepth: 1e6, version: '' }) {
    const time = { now: start }
    const db = new DatabaseSync(':memory:')
    onTestFinished(() => db.close())
    migrateSqlite(db, start)
    return { time, db, engine: engineOn(statementsOf(db), limits, () => time.now) }
  }
  const day = 86_400_000

  test('keeps an outcome and an id for a week, then removes them', async () => {
    const { engine, time } = engineAt(1_000 * day)
    const [done, waiting] = [job({ promiseBy: time.now + 60_000 }), job({ promiseBy: time.now + 60_000 })]
    await writes.enqueue(engine, done)
    const claim = await writes.claim(engine, 'w', 5_000)
    if (!claim) throw new Error('there is work')
    await writes.complete(engine, claim, time.now)
    await writes.enqueue(engine, waiting)

    time.now += 7 * day
    await writes.purge(engine)
    expect(await writes.enqueue(engine, done)).toBe('already')
    expect(await reads.outcomesAfter(engine, 0, 10)).toMatchObject([{ photo: done.photo, outcome: 'kept' }])
    time.now += 2 * day
    await writes.purge(engine)
    expect(await reads.outcomesAfter(engine, 0, 10)).toEqual([])
    expect(await reads.look(engine, waiting.photo), 'work is never purged').toMatchObject({ state: 'queued' })
  })

  test('keeps a bounded number of events and never uses a number twice', async () => {
    const { engine, db } = engineAt(0)
    db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 51_000)
      INSERT INTO events (photo, owner, state) SELECT 'p', 'o', 'queued' FROM n`)
    await writes.purge(engine)
    expect(await reads.eventsAfter(engine, 0, 1)).toMatchObject([{ seq: 1_001 }])
    db.exec('DELETE FROM events')
    await writes.enqueue(engine, job())
    writeEvents(engine)
    expect(await reads.lastEvent(engine)).toBe(51_001)
  })

  test('no operation reads through the finished photos', async () => {
    const { engine, db } = engineAt(0)
    const texts = new Set<string>()
    const spied = { ...engine, sql: (text: string) => texts.add(text) && engine.sql(text) }
    const work = job()
    await writes.enqueue(spied, work)
    const claim = await writes.claim(spied, 'w', 1)
    if (!claim) throw new Error('there is work')
    await writes.renew(spied, claim, 10)
    await writes.release(spied, claim)
    await writes.renew(spied, claim, 10)
    await writes.remove(spied, work.photo, work.owner)
    await writes.bury(spied, work.photo)
    await writes.mark(spied, work.photo, 'broken')
    await writes.claimLost(spied, { worker: 'w', leaseMs: 1 }, 1)
    await writes.replay(spied, work.photo)
    await writes.expireDead(spied, Date.now())
    await writes.purge(spied)
    for (const read of [reads.stats, reads.lastEvent, reads.knownPhotos]) await read(spied)
    for (const read of [reads.overdue, reads.tombstones]) await read(spied, 1)
    await reads.eventsOf(spied, work.owner, 0)
    await reads.look(spied, work.photo)
    await reads.deadLetters(spied, 1)
    await reads.eventsAfter(spied, 0, 1)
    for (const text of texts) {
      const plan = db.prepare(`EXPLAIN QUERY PLAN ${withoutLocks(text)}`).all() as { detail: string }[]
      const scans = plan.map(({ detail }) => detail).filter(detail => /SCAN (jobs|events)/.test(detail))
      // A scan of a partial index sees only what waits, is leased or is dead.
      expect(
        scans.filter(detail => !/INDEX jobs_(queued|claimed|lost|dead|deleted|promised)/.test(detail)),
        text,
      ).toEqual([])
    }
  })

  test('whatever happens in whatever order: one lease at a time, one outcome a promise, nothing stranded', async () => {
    const photo = fc.nat(3)
    const step = fc.oneof(
      fc.record({
        do: fc.constantFrom('enqueue' as const, 'remove' as const),
        photo,
      }),
      fc.record({ do: fc.constant('replay' as const), photo }),
      fc.record({ do: fc.constantFrom('claim' as const, 'sweep' as const) }),
      fc.record({
        do: fc.constantFrom(
          'complete' as const,
          'fail' as const,
          'refuse' as const,
          'release' as const,
          'renew' as const,
        ),
        claim: fc.nat(20),
      }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: -5_000, max: 20_000 }) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
        const { engine, time, db } = engineAt(1e9, { maxAttempts: 2, maxDepth: 3, version: '' })
        const claims: Claim[] = []
        const marks: Record<string, (string | null)[]> = {}
        const deleted = new Set<string>()
        const note = (photo: string, answer: object | string) => {
          if (typeof answer === 'object' && 'marked' in answer && answer.marked)
            marks[photo] = [...(marks[photo] ?? []), answer.marked as string]
        }
        /** A right is the newest claim of its photo, used once. */
        const settle = async (index: number, use: (held: Lease) => Promise<object | string>) => {
          const claim = claims[index % Math.max(1, claims.length)]
          if (!claim) return
          const { photo } = claim.job
          const newest = claims.filter(each => each.job.photo === photo).at(-1)
          const answer = await use(claim)
          if (answer === 'stale') return
          expect(claim).toBe(newest)
          expect(deleted.has(photo)).toBe(false)
          note(photo, answer)
        }
        const sweep = async () => {
          for (const { job } of await reads.overdue(engine, 10))
            note(job.photo, { marked: await writes.mark(engine, job.photo, 'broken') })
          for (const lost of await writes.claimLost(engine, { worker: 'sweeper', leaseMs: 5_000 }, 10))
            note(lost.job.photo, await writes.fail(engine, lost, crash, time.now))
        }
        for (const step of steps) {
          engine.depth = null
          time.now++
          if (step.do === 'enqueue') {
            const work = job({ photo: `${step.photo}`, promiseBy: time.now + 60_000 })
            expect((await writes.enqueue(engine, work)) === 'deleted').toBe(deleted.has(work.photo))
          }
          if (step.do === 'remove') {
            note(`${step.photo}`, await writes.remove(engine, `${step.photo}`, 'o'))
            deleted.add(`${step.photo}`)
          }
          if (step.do === 'replay') await writes.replay(engine, `${step.photo}`)
          if (step.do === 'wait') time.now += step.ms
          if (step.do === 'sweep') await sweep()
          if (step.do === 'claim') {
            const claim = await writes.claim(engine, 'w', 5_000)
            if (!claim) continue
            expect(deleted.has(claim.job.photo)).toBe(false)
            expect(claim.attempt).toBeLessThanOrEqual(2)
            claims.push(claim)
          }
          if (step.do === 'complete')
            await settle(step.claim, held => writes.complete(engine, held, time.now))
          if (step.do === 'fail') await settle(step.claim, held => writes.fail(engine, held, crash, time.now))
          if (step.do === 'refuse')
            await settle(step.claim, held => writes.fail(engine, held, undecodable, time.now))
          if (step.do === 'release') await settle(step.claim, held => writes.release(engine, held))
          if (step.do === 'renew') await settle(step.claim, held => writes.renew(engine, held, 5_000))
        }
        time.now += 100_000
        await writes.claim(engine, 'w', 5_000)
        await sweep()
        const rows = db.prepare('SELECT photo, outcome FROM jobs WHERE promise = 1').all() as {
          photo: string
          outcome: string
        }[]
        for (const { photo, outcome } of rows) expect(marks[photo]).toEqual([outcome])
        expect(Object.keys(marks).length).toBe(rows.length)
      }),
      { numRuns: process.env.TEST_FULL ? 1_000 : 100 },
    )
  })

  test('a clock set back by an hour leaves waiting work claimable, and a dead worker’s lease no longer than it is', async () => {
    const { engine, time } = engineAt(1e12)
    const [waiting, held, retried] = [job(), job(), job()]
    await writes.enqueue(engine, held)
    await writes.claim(engine, 'dead', 5_000)
    await writes.enqueue(engine, retried)
    const claim = await writes.claim(engine, 'w', 5_000)
    if (!claim) throw new Error('there is work')
    await writes.fail(engine, claim, crash, time.now)
    await writes.enqueue(engine, waiting)
    time.now -= 3_600_000
    const order: string[] = []
    for (let n = 0; n < 2; n++) {
      const next = await writes.claim(engine, 'w', 5_000)
      if (next) order.push(next.job.photo)
    }
    expect(order).toEqual([retried.photo, waiting.photo])
    time.now += 5_000
    expect(await writes.claim(engine, 'w', 5_000)).toMatchObject({ job: { photo: held.photo }, attempt: 2 })
  })

  test('a file of a newer version is refused', () => {
    const { db } = engineAt(0)
    db.exec('PRAGMA user_version = 99')
    expect(() => migrateSqlite(db, 0)).toThrow(/newer version/)
  })
})
