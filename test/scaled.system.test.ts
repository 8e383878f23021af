import { existsSync, readdirSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Photo, person, type ServerEvent } from './client.ts'
import { photo, randomNumbers } from './images.ts'
import { journey } from './journey.ts'
import { startLoad } from './kills/load.ts'
import { readLedger, verify } from './kills/verify.ts'
import { cluster } from './logs/cluster.ts'
import { descendantsOf, processes } from './processes.ts'
import { processNames, type Scaled, startScaled } from './scaled.ts'
import { describeWithParts, runScript, until } from './support.ts'

/** How often each process is killed. */
const rounds = process.env.TEST_FULL ? 5 : 1
const startMs = 240_000
/**
 * Diagnosis looks at the last twelve scrapes; what a killed launcher leaves behind ends within the grace time. The journey
 * must hold for any THUMBNAILS: a release makes it before the new version serves anybody.
 */
const settings = { SCRAPE_SECONDS: '1', GRACE_SECONDS: '5', THUMBNAILS: '200.webp,1280.png' }
/** A killed process is started again after 0.2 s; on a busy machine a start takes its time. */
const backMs = 150_000

describeWithParts('npm run scaled', ['haproxy', 'postgres', 'seaweedfs'], () => {
  let folder: string
  let scaled: Scaled
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tintype-scaled-'))
    await chmod(folder, 0o755) // PostgreSQL's user enters it
    scaled = await startScaled(folder, settings)
  }, startMs)
  afterAll(async () => {
    await scaled?.stop()
    await rm(folder, { recursive: true, force: true })
  }, startMs)

  const idOf = async (answer: Response): Promise<string> => ((await answer.json()) as Photo).id

  test('serves a person’s whole journey, dealt over all webs', async () => {
    await journey(scaled.address, undefined, true)
    for (const { webAdmin } of scaled.webs) {
      const metrics = await (await fetch(`${webAdmin}/metrics`)).text()
      expect(metrics).toMatch(
        /^http_server_request_duration_seconds_count\{.*http_route="\/photos.*\} [1-9]/m,
      )
    }
  })

  test('shows a session the same photos, whichever web answers', async () => {
    const someone = person(scaled.address)
    await someone.request('/photos')
    const atEach = scaled.webs.map(({ web = '' }) => person(web, someone.cookie))
    const image = await photo(400, 300, 1)
    const ids = []
    for (const each of atEach) {
      const headers = { 'Idempotency-Key': crypto.randomUUID() }
      const answers = await Promise.all([each, ...atEach].map(other => other.upload(image, headers)))
      expect(answers.map(({ status }) => status).filter(status => status !== 202 && status !== 409)).toEqual(
        [],
      )
      const again = await Promise.all(atEach.map(async other => idOf(await other.upload(image, headers))))
      expect(new Set(again).size).toBe(1)
      ids.push(again[0] as string)
    }
    for (const id of ids) await someone.settled(id)
    const lists = await Promise.all(
      atEach.map(async each => (await (await each.request('/photos')).json()) as { photos: Photo[] }),
    )
    for (const { photos } of lists) {
      expect(photos.map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
      expect(photos).toEqual(lists[0]?.photos)
    }
    const [gone = ''] = ids
    expect((await atEach[0]?.request(`/photos/${gone}`, { method: 'DELETE' }))?.status).toBe(204)
    for (const each of atEach) expect((await each.request(`/photos/${gone}`)).status).toBe(404)
  })

  test('while PostgreSQL does not answer each web stays in HAProxy and answers 503 with its own Retry-After', async () => {
    const { pid = 0 } = scaled.named('postgres') ?? {}
    const all = [pid, ...below(pid)]
    const image = await photo(400, 300, 4)
    const someone = person(scaled.address)
    await someone.request('/photos')
    const away = async ({ webAdmin }: Record<string, string>) => {
      const { ready, dependencies } = (await (await fetch(`${webAdmin}/readyz`)).json()) as Readiness
      return ready && dependencies.queue === 'away'
    }
    for (const each of all) process.kill(each, 'SIGSTOP')
    try {
      // HAProxy takes out a web after two failed checks: each has failed that often when they are asked the third time.
      for (let checks = 0; checks < 3; checks++)
        expect(await Promise.all(scaled.webs.map(away))).toEqual([true, true, true])
      const answers = await Promise.all(scaled.webs.map(() => someone.upload(image)))
      for (const answer of answers) {
        expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '10'])
        expect(await answer.json()).toMatchObject({ type: '/problems/not-stored' })
      }
      expect((await fetch(scaled.address)).status).toBe(200)
    } finally {
      for (const each of all) process.kill(each, 'SIGCONT')
    }
    await until(async () => (await someone.upload(image)).status === 202)
  })

  test('events reach the browser from each web, and resume on another when theirs is killed', async () => {
    const someone = person(scaled.address)
    await someone.request('/photos')
    const signal = AbortSignal.timeout(240_000)
    const readers = await Promise.all(
      scaled.webs.map(({ web = '' }) => person(web, someone.cookie).events(signal)),
    )
    const image = await photo(400, 300, 2)
    const ready = (id: string) => async (stream: AsyncIterable<ServerEvent>) => {
      for await (const { id: seq, data } of stream) if (data.id === id && data.state === 'ready') return seq
      throw new Error('the stream ended before')
    }
    const first = await idOf(await someone.upload(image))
    const seen = await Promise.all(readers.map(ready(first)))

    const victim = scaled.named('web-1')?.pid as number
    process.kill(victim, 'SIGKILL')
    // No client listens when this one is accepted and converted.
    const second = await until(async () => {
      const answer = await someone.upload(image).catch(() => undefined)
      return answer?.status === 202 && idOf(answer)
    })
    await someone.settled(second)
    // As a browser does: HAProxy ends the streams of a web that is too busy to answer its checks.
    await until(() =>
      someone
        .events(signal, seen[1])
        .then(ready(second))
        .catch(() => undefined),
    )
    await until(() => scaled.named('web-1') && scaled.named('web-1')?.pid !== victim, { timeoutMs: backMs })
  })

  // `faults/simulated.test.ts` tries this verdict with each change.
  test.runIf(process.env.TEST_FULL)('diagnose names the one of several that is away', async () => {
    const frozen = scaled.named('converter-3')?.pid as number
    process.kill(frozen, 'SIGSTOP')
    const replicas = async () => {
      const env = { DATA_DIR: folder, ...settings }
      const { out } = await runScript('slo/main.ts', ['diagnose', '--json'], env)
      return (JSON.parse(out) as { replicas: string[] }).replicas
    }
    // The web that was killed before is away for as long as the window reaches back.
    await until(
      async () => (await replicas()).filter(each => each.endsWith('away')).join() === 'converter 3 is away',
      {
        timeoutMs: 100_000,
        what: 'its name, and no other',
      },
    ).finally(() => process.kill(frozen, 'SIGCONT'))
  })

  test.runIf(process.env.TEST_FULL)(
    'kill -9 of each process in turn, under load: nothing lost, nothing twice, the day’s log whole',
    {
      timeout: 300_000 * rounds,
    },
    async () => {
      const images = await Promise.all([400, 800, 1600].map(width => photo(width, width * 0.75, width)))
      const ledger = join(folder, 'ledger.ndjson')
      const load = await startLoad(scaled.address, images, ledger, randomNumbers(7))
      const acknowledged = () => (existsSync(ledger) ? readLedger(ledger).length : 0)
      const more = async (what: string) => {
        const before = acknowledged()
        await until(() => acknowledged() > before, { timeoutMs: backMs, what })
      }
      for (let round = 1; round <= rounds; round++)
        for (const name of processNames) {
          await more(`an upload before ${name} is killed`)
          const { pid } = await until(() => scaled.named(name), { timeoutMs: backMs, what: name })
          process.kill(pid, 'SIGKILL')
          await until(() => scaled.named(name) && scaled.named(name)?.pid !== pid, {
            timeoutMs: backMs,
            what: `the return of ${name}`,
          })
          await more(`an upload after ${name} was killed`)
        }
      await load.stop()
      Object.assign(process.env, scaled.engines) // S3's keys, for those who look into its queue and storage
      const { findings, ...counts } = await verify(scaled, ledger, load, scaled.engines.QUEUE_URL)
      expect(findings).toEqual([])
      expect(counts.acknowledged).toBeGreaterThanOrEqual(2 * processNames.length)
      await expectWholeLog(folder)
    },
  )

  test.runIf(process.env.TEST_FULL)(
    'is gone with a launcher that is killed, and on its return has every photo',
    {
      timeout: 2 * startMs,
    },
    async () => {
      const someone = person(scaled.address)
      const id = await idOf(await someone.upload(await photo(400, 300, 3), { Prefer: 'wait=60' }))
      const all = below(scaled.pid)
      expect(all.length).toBeGreaterThan(processNames.length)
      await scaled.stop('SIGKILL')
      const left = () => processes().filter(({ pid }) => all.includes(pid))
      await until(() => left().length === 0, { what: 'the end of all processes' })

      scaled = await startScaled(folder, settings)
      const back = person(scaled.address, someone.cookie)
      expect((await back.photo(id)).state).toBe('ready')
      const again = below(scaled.pid)
      expect(await scaled.stop('SIGINT')).toBe(0)
      expect(processes().filter(({ pid }) => again.includes(pid))).toEqual([])
      expect(existsSync(join(folder, 'endpoints.json'))).toBe(false)
    },
  )
})

type Readiness = { ready: boolean; dependencies: Record<string, string> }

const below = (pid: number): number[] => descendantsOf(pid).map(({ pid }) => pid)

/** Publishes each day that there is and proves it. */
async function expectWholeLog(dataDir: string): Promise<void> {
  const { logs } = cluster(dataDir)
  const days = readdirSync(join(dataDir, 'logs', 'streams')).filter(name => /^\d{4}-\d\d-\d\d$/.test(name))
  expect(days.length).toBeGreaterThan(0)
  for (const day of days) {
    expect((await logs(['publish', '--day', day])).code).toBe(0)
    const { code, out } = await logs(['verify', '--day', day])
    expect({ day, code, out }).toMatchObject({ day, code: 0 })
  }
}
