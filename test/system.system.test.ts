import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { services } from '@tintype/lib/telemetry/catalogue.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compareWithCatalogue } from './catalogue.ts'
import { type Person, type Photo, person } from './client.ts'
import { photo } from './images.ts'
import { journey } from './journey.ts'
import { startTintype, type Tintype } from './service.ts'
import { until } from './support.ts'

/** The whole service as npm start runs it, on one folder, through a day of its life: each test goes on from the last. */
let folder: string
let tintype: Tintype
let image: Buffer
/** Acknowledged photos that were not deleted, by the person they belong to. */
const acknowledged: { someone: Person; id: string }[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tintype-'))
  image = await photo(1600, 1200, 1)
  tintype = await startTintype(folder, { SCRAPE_SECONDS: '1' })
})
afterAll(async () => {
  await tintype.stop()
  await rm(folder, { recursive: true })
})

const environment = () => ({ PATH: process.env.PATH, DATA_DIR: folder })
const settleMs = 75_000

async function upload(someone: Person): Promise<void> {
  const answer = await someone.upload(image)
  expect(answer.status).toBe(202)
  acknowledged.push({ someone, id: ((await answer.json()) as Photo).id })
}

async function expectAllReady(): Promise<void> {
  for (const { someone, id } of acknowledged)
    expect((await someone.settled(id, settleMs)).state).toBe('ready')
}

test('a person walks the whole journey', async () => {
  await journey(tintype.address)
})

test('each process is alive, ready and tells its metrics on its own port', async () => {
  for (const service of ['web', 'converter', 'logs', 'slo']) {
    const admin = tintype.endpoints[`${service}Admin`] as string
    expect((await fetch(`${admin}/livez`)).status).toBe(200)
    await until(async () => (await fetch(`${admin}/readyz`)).ok, { what: `${service} ready` })
    expect(await (await fetch(`${admin}/metrics`)).text()).toMatch(
      new RegExp(`tintype_build_info\\{.*service="${service}"`),
    )
    expect((await fetch(`${tintype.address}/metrics`)).status, 'never on the public port').toBe(404)
  }
})

test('each process exposes the metrics of the catalogue, from zero, and no other', async () => {
  for (const service of services) {
    const flaws = await compareWithCatalogue(service, tintype.endpoints[`${service}Admin`] as string)
    expect(flaws, service).toEqual([])
  }
})

test('a converter killed under load costs nobody a photo', async () => {
  const people = [person(tintype.address), person(tintype.address)]
  for (const someone of people) await someone.request('/photos')
  for (let round = 0; round < 5; round++) {
    await Promise.all(people.map(upload))
    if (round === 2) process.kill(tintype.process('converter')?.pid as number, 'SIGKILL')
  }
  await expectAllReady()
  expect(tintype.stderr()).toMatch(/process\.ended.*"process":"converter","how":"SIGKILL"/)
})

/** What the command of the log server prints. */
async function logs(...words: string[]): Promise<string> {
  const done = await promisify(execFile)(process.execPath, ['services/logs/main.ts', ...words], {
    env: environment(),
  })
  return done.stdout
}

test('the day’s one log tells each photo’s story once, across services', async () => {
  const day = new Date().toISOString().slice(0, 10)
  for (const { id } of acknowledged.slice(0, 3)) {
    // An entry reaches the log server a moment after what it tells of: a later revision of the day has it.
    const story = await until(
      async () => {
        await logs('publish', '--day', day)
        const told = JSON.parse(await logs('timeline', '--photo', id, '--json')) as {
          entries: { id: string; payload: { event: string } }[]
        }
        return told.entries.some(({ payload }) => payload.event === 'promise.kept') && told.entries
      },
      { timeoutMs: 30_000, what: `the whole story of ${id}` },
    )
    const events = story.map(({ payload }) => payload.event)
    expect(events[0]).toBe('photo.accepted')
    expect(events.filter(event => event === 'promise.kept')).toHaveLength(1)
    expect(new Set(story.map(entry => entry.id.split('.')[0]))).toEqual(new Set(['web', 'converter']))
  }
})

test('the probe finds the service online and the page is told', async () => {
  const status = await until(
    async () => {
      const answer = await fetch(`${tintype.address}/status.json`)
      return answer.ok && ((await answer.json()) as { online: boolean | null })
    },
    { timeoutMs: 60_000, what: 'status.json' },
  )
  expect(status.online).not.toBe(false)
})

test('stopped under load, it loses nothing that it has acknowledged', async () => {
  const someone = person(tintype.address)
  await someone.request('/photos')
  const before = acknowledged.length
  let stopped = false
  const load = (async () => {
    while (!stopped) await upload(someone).catch(() => {})
  })()
  await until(() => acknowledged.length > before + 3)
  expect(await tintype.stop()).toBe(0)
  stopped = true
  await load
  const { port } = new URL(tintype.address)
  tintype = await startTintype(folder, { SCRAPE_SECONDS: '1', WEB_PORT: port })
  await expectAllReady()
})
