import { globSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { services } from '@tintype/lib/telemetry/catalogue.ts'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../tools/free-port.ts'
import { compareWithCatalogue } from './catalogue.ts'
import { type Person, type Photo, person } from './client.ts'
import { fastClock, fastTime } from './clock.ts'
import { photo } from './images.ts'
import { journey } from './journey.ts'
import { startTintype, type Tintype } from './service.ts'
import { runScript, until } from './support.ts'

/** The whole service as npm start runs it, on one folder, through a day of its life: each test goes on from the last. */
let folder: string
let tintype: Tintype
let image: Buffer
/** Acknowledged photos that were not deleted, by the person they belong to. */
const acknowledged: { someone: Person; id: string }[] = []

/** A minute of slo is three seconds of ours. */
const clock = { since: Date.now(), times: 20 }
const sloNow = () => fastTime(Date.now(), clock.since, clock.times)

type Message = {
  status: string
  groupLabels: { group: string }
  commonLabels: { severity: string }
  text: string
}
const messages: Message[] = []
/** When slo last saw a process come back. */
let undisturbed = clock.since
const phone = createServer(async (request, response) => {
  messages.push((await json(request)) as Message)
  response.end()
})

beforeAll(async () => {
  await new Promise<void>(resolve => phone.listen(0, '127.0.0.1', resolve))
  folder = await mkdtemp(join(tmpdir(), 'tintype-'))
  image = await photo(800, 600, 1)
  tintype = await startTintype(folder, { ...settings(), WEB_PORT: String(await freePort()) })
})
afterAll(async () => {
  await tintype?.stop()
  phone.close()
  await rm(folder, { recursive: true })
})

const settings = () => ({
  ALERT_WEBHOOK_URL: `http://127.0.0.1:${(phone.address() as AddressInfo).port}`,
  ...fastClock(clock.since, clock.times),
})
const settleMs = 75_000
/** Of slo’s clock: three windows to compare with, three minutes each, and the first scrapes. */
const baselineMs = 11 * 60_000

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

test('a journey that is stopped leaves no photo behind', async () => {
  const photos = () => globSync('**/photo.json', { cwd: folder })
  const before = new Set(photos())
  let during: string[] = []
  const stopping = new AbortController()
  const tell = (line: string) => {
    if (!line.includes('by a form')) return
    during = photos().filter(each => !before.has(each))
    stopping.abort(new Error('stopped'))
  }
  await expect(journey(tintype.address, tell, true, stopping.signal)).rejects.toThrow('stopped')
  expect(during.length).toBeGreaterThanOrEqual(2)
  // One may be slo's, which is deleted at the end of its own journey.
  await until(() => !photos().some(each => during.includes(each)), { what: 'its photos to be deleted' })
})

test('each process is alive and ready, and exposes its metrics on its own port', async () => {
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

test('a converter killed under load loses no photo', async () => {
  const people = [person(tintype.address), person(tintype.address)]
  for (const someone of people) await someone.request('/photos')
  // Refused while there is no converter: on a busy machine its start takes longer than the last one counts as live.
  const insist = (someone: Person) =>
    until(() =>
      upload(someone).then(
        () => true,
        () => false,
      ),
    )
  for (let round = 0; round < 5; round++) {
    await Promise.all(people.map(insist))
    if (round === 2) process.kill(tintype.process('converter')?.pid as number, 'SIGKILL')
  }
  await expectAllReady()
  undisturbed = sloNow()
  expect(tintype.stderr()).toMatch(/process\.ended.*"process":"converter","how":"SIGKILL"/)
})

/** What a command of slo prints, by its clock. */
const slo = async (...words: string[]): Promise<string> =>
  (await runScript('slo/main.ts', words, { DATA_DIR: folder, ...settings() })).out

test('the probe finds the service online and the page shows it', async () => {
  // Minutes in which the converter was away are offline; on a busy machine these are several of slo's.
  const isOnline = async () => {
    const answer = await fetch(`${tintype.address}/status.json`)
    return answer.ok && ((await answer.json()) as { online: boolean | null }).online
  }
  await until(isOnline, { what: 'a status.json that says online' })
})

type State = {
  diagnosis: { verdict: { verdict: string; cause: string } } | null
  objectives: {
    name: string
    bad: number
    to: string
    alerts: { tier: string; clears: string | null }[]
    strip: { states: string }
  }[]
}
const availability = async () => {
  const state = (await (await fetch(`${tintype.endpoints.slo}/api/state`)).json()) as State
  return { ...state, ...state.objectives.find(({ name }) => name === 'availability') }
}
const open = async () => ((await availability()).alerts ?? []).filter(({ clears }) => clears === null)
const said = (status: string) =>
  messages.find(each => each.status === status && each.groupLabels.group === 'availability')

test('an outage pages a person with what is lost and why, and its end is announced', {
  timeout: 500_000,
}, async () => {
  // What the tests before this did is over, and diagnosis has something to compare with.
  await until(async () => (await open()).length === 0, { what: 'quiet' })
  messages.length = 0
  await until(() => sloNow() - undisturbed > baselineMs, { what: 'a baseline' })
  // The launcher, which would start the converter again, is halted.
  process.kill(tintype.pid, 'SIGSTOP')
  onTestFinished(() => void process.kill(tintype.pid, 'SIGCONT'))
  process.kill(tintype.process('converter')?.pid as number, 'SIGKILL')
  const page = await until(() => said('firing'), { what: 'the page' })
  // Of the first minutes of an outage little is known on a busy machine: what is found is looked at again each minute.
  const during = await until(
    async () => {
      const now = await availability()
      return now.diagnosis?.verdict.cause === 'no-workers' && now
    },
    { what: 'the cause' },
  )
  process.kill(tintype.pid, 'SIGCONT')

  expect(page.commonLabels.severity).toBe('page')
  // What else it says depends on how many minutes were offline before, and whether diagnosis had time: text.test.ts.
  expect(page.text).toMatch(
    /^“Online 23 of every 24 hours” has been burning its budget since \d\d:\d\d UTC\. .*Page: http:\S+ What to do: http:\S+$/,
  )
  expect(during.alerts).toContainEqual(expect.objectContaining({ tier: 'page-fast', clears: null }))
  expect(during.diagnosis?.verdict.verdict).toBe('wait')
  for (const { name, strip } of during.objectives)
    expect(strip.states, `${name}: before the service was there, nothing was measured`).toMatch(/^\.+[oxu]/)

  await until(() => said('resolved'), { what: 'its end' })
  const after = await availability()
  expect(await open()).toEqual([])
  const report = JSON.parse(await slo('report', '--json', '--at', after.to as string))
  expect(report.availability).toMatchObject({
    offline: after.bad,
    budgetLeftMinutes: 60 - (after.bad as number),
  })
  expect(after.bad).toBeGreaterThanOrEqual(6)
})

test('stopped under load, it loses nothing that it has acknowledged', async () => {
  const someone = person(tintype.address)
  await someone.request('/photos')
  const before = acknowledged.length
  let stopped = false
  onTestFinished(() => {
    stopped = true // also when the test fails, or the load would never end
  })
  const load = (async () => {
    // Refused connections are tried again at a pace: without one the loop takes a whole processor.
    while (!stopped) await upload(someone).catch(() => sleep(50))
  })()
  await until(() => acknowledged.length > before + 3)
  expect(await tintype.stop()).toBe(0)
  stopped = true
  await load
  const { port } = new URL(tintype.address)
  tintype = await startTintype(folder, { ...settings(), WEB_PORT: port })
  await expectAllReady()
})
