import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dayOf } from '@tintype/lib/day.ts'
import { openQueue, queueUrl } from '@tintype/lib/queue/index.ts'
import { attributes } from '@tintype/lib/telemetry/catalogue.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Person, type Photo, person } from './client.ts'
import { photo } from './images.ts'
import { heavy, startList } from './loaded.ts'
import { everyOutcome } from './outcomes.ts'
import { connectRaw, head } from './raw.ts'
import { startTintype, type Tintype } from './service.ts'
import { runScript, temporaryFolder, until } from './support.ts'

type Entry = {
  session: string
  payload: { event: string; photo?: string; probe?: boolean } & Record<string, number>
}
type Outcomes = { kept: number; broken: number; void: number }

const sessionOf = (tintype: Tintype) => async (service: string) =>
  await (await fetch(`${tintype.endpoints[`${service}Admin`]}/metrics`)).text()

/** The sum of a metric's samples whose labels hold all of `labels`. */
function sum(text: string, name: string, ...labels: string[]): number {
  return text
    .split('\n')
    .filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter(line => labels.every(label => line.includes(label)))
    .reduce(
      (total, line) =>
        total +
        Number(
          line
            .slice(line.lastIndexOf('}') + 1)
            .trim()
            .split(' ')[0],
        ),
      0,
    )
}

/** The published day, or with midnight in between both. */
async function publishedLog(dataDir: string): Promise<Entry[]> {
  const days = new Set([Date.now() - 300_000, Date.now()].map(dayOf))
  const entries: Entry[] = []
  for (const day of days) {
    await runScript('services/logs/main.ts', ['publish', '--day', day], { DATA_DIR: dataDir })
    const folder = join(dataDir, 'logs', 'days')
    const newest = (await readdir(folder))
      .filter(name => name.startsWith(day) && name.endsWith('.ndjson'))
      .sort((a, b) => Number(/r(\d+)/.exec(a)?.[1]) - Number(/r(\d+)/.exec(b)?.[1]))
      .at(-1)
    if (!newest) continue
    const lines = (await readFile(join(folder, newest), 'utf8')).split('\n').filter(Boolean)
    entries.push(...lines.map(line => JSON.parse(line) as Entry))
  }
  return entries
}

/** Outcomes by photo in the spans on disk. */
async function tracedOutcomes(dataDir: string): Promise<[photo: string, outcome: string][]> {
  const folder = join(dataDir, 'traces')
  const found: [string, string][] = []
  for (const file of await readdir(folder))
    for (const line of (await readFile(join(folder, file), 'utf8')).split('\n').filter(Boolean))
      for (const { scopeSpans } of JSON.parse(line).resourceSpans)
        for (const span of scopeSpans.flatMap(({ spans }: { spans: unknown[] }) => spans)) {
          const value = (key: string) =>
            span.attributes.find((each: { key: string }) => each.key === key)?.value.stringValue
          const outcome = value(attributes.outcome)
          if (outcome) found.push([value(attributes.photo), outcome])
        }
  return found
}

async function queueOutcomes(dataDir: string): Promise<Map<string, string>> {
  const queue = await openQueue(queueUrl('', dataDir))
  const outcomes = new Map<string, string>()
  for await (const { photo, outcome } of everyOutcome(queue)) outcomes.set(photo, outcome)
  await queue.close()
  return outcomes
}

/** Sends half of what it announces, then disconnects. */
async function depart(address: string, image: Buffer): Promise<void> {
  const headers = ['Content-Type: image/jpeg', `Content-Length: ${image.length}`]
  const raw = connectRaw(address, head('POST', '/photos', ...headers))
  raw.send(image.subarray(0, image.length / 2))
  await new Promise(resolve => raw.socket.write('', resolve))
  raw.socket.destroy()
}

let folder: string
let list: Awaited<ReturnType<typeof startList>>
let tintype: Tintype

beforeAll(async () => {
  folder = await temporaryFolder(afterAll)
  list = await startList(await temporaryFolder(afterAll))
  tintype = await startTintype(folder, { NODE_OPTIONS: `--import ${list.hook}` })
})
afterAll(() => tintype?.stop())

/** Of OpenTelemetry, where a photo's stages are traced into files: no exporter, no metrics, no logs, no instrumentation. */
const tracing = [
  'api',
  'context-async-hooks',
  'core',
  'otlp-transformer',
  'propagator-b3',
  'resources',
  'sdk-node',
  'sdk-trace',
  'semantic-conventions',
]

/** Parts of Express and prom-client. */
const unused = /node_modules\/(body-parser|qs|serve-static|prom-client\/lib\/(cluster|pushgateway|summary))\b/

test('npm start loads nothing that is not used', async () => {
  const scripts = {
    'launch.ts': { telemetry: [], not: /node_modules\/(express|prom-client|sharp|yaml)\// },
    'web/main.ts': { telemetry: tracing, not: /node_modules\/(sharp|libheif-js|yaml)\// },
    'converter/main.ts': { telemetry: tracing, not: /node_modules\/(sharp|libheif-js|yaml|image-size)\// },
    'logs/main.ts': { telemetry: ['api'], not: /node_modules\/(sharp|yaml)\// },
    'slo/main.ts': { telemetry: ['api'], not: /node_modules\/sharp\// },
    'child.ts': { telemetry: [], not: /node_modules\/(express|prom-client|winston|libheif-js)\// },
  }
  for (const [script, { telemetry, not }] of Object.entries(scripts)) {
    const modules = await list.loadedBy(script)
    expect(modules.length, script).toBeGreaterThan(10)
    expect(
      modules.filter(each => heavy.test(each) || unused.test(each) || not.test(each)),
      script,
    ).toEqual([])
    const found = modules.flatMap(each => /@opentelemetry\/([^/]+)/.exec(each)?.[1] ?? [])
    expect([...new Set(found)].toSorted(), script).toEqual(telemetry)
    expect(
      modules.filter(each => /@opentelemetry\/api\/.*\.cjs$/.test(each)),
      `${script} loads the API twice`,
    ).toEqual([])
  }
})

/**
 * Every number has one meaning: metrics, log, traces, queue and storage are compared with the ledger of what the clients saw.
 * The probe's photos are counted only where a number includes them.
 */
test('what clients saw, metrics, log, traces, queue and storage tell the same', {
  timeout: 180_000,
}, async () => {
  const metrics = sessionOf(tintype)
  const [image, other] = [await photo(900, 700, 1), await photo(800, 600, 2)]
  const damaged = Buffer.concat([image.subarray(0, 700), Buffer.alloc(3_000, 0x55)])
  const people: Person[] = [person(tintype.address), person(tintype.address)]
  for (const someone of people) await someone.request('/photos')
  const [one, two] = people as [Person, Person]

  // The ledger: what each request was answered.
  const statuses: number[] = []
  const ready: { someone: Person; id: string }[] = []
  const upload = async (someone: Person, body: Buffer, headers: Record<string, string> = {}) => {
    const answer = await someone.upload(body, headers)
    statuses.push(answer.status)
    return { status: answer.status, body: (await answer.json()) as Photo & { photo?: string } }
  }
  const wait = { Prefer: 'wait=60' }
  await Promise.all(
    [one, one, two, two, two].map(async (someone, n) => {
      const { status, body } = await upload(someone, n % 2 ? image : other, wait)
      expect(status).toBe(201)
      ready.push({ someone, id: body.id })
    }),
  )
  const first = await upload(one, image, { 'Idempotency-Key': 'once', ...wait })
  const again = await upload(one, image, { 'Idempotency-Key': 'once', ...wait })
  expect([first.status, again.status, again.body.id]).toEqual([201, 201, first.body.id])
  ready.push({ someone: one, id: first.body.id })
  expect((await upload(one, Buffer.from('this is no photo at all, whatever it says'))).status).toBe(415)
  expect((await upload(two, damaged, wait)).status).toBe(422)
  for (let times = 0; times < 3; times++) await depart(tintype.address, image)
  const gone = ready.pop() as (typeof ready)[number]
  expect((await gone.someone.request(`/photos/${gone.id}`, { method: 'DELETE' })).status).toBe(204)
  const accepted = 7 // five, one with a key, one whose bytes are damaged
  const expected: Outcomes = { kept: 6, broken: 0, void: 1 }

  // The probe goes on: metrics and log are compared at a moment when both have the same photos and none is in progress.
  const { entries, web, converter } = await until(
    async () => {
      const entries = await publishedLog(folder)
      const [web, converter] = [await metrics('web'), await metrics('converter')]
      const logged = (event: RegExp) => entries.filter(({ payload }) => event.test(payload.event)).length
      const isWhole =
        sum(web, 'tintype_photos_total', 'accepted') === logged(/^photo\.accepted$/) &&
        sum(converter, 'tintype_stage_seconds_count', 'stage="store"') === logged(/^photo\.ready$/) &&
        logged(/^photo\.accepted$/) === logged(/^photo\.(ready|failed)$/) &&
        logged(/^promise\./) === 7 &&
        logged(/^photo\.aborted$/) === 3 &&
        entries.some(({ payload }) => payload.probe)
      return isWhole && { entries, web, converter }
    },
    { what: 'the whole log, with a photo of the probe' },
  )
  const events = (event: string) => entries.filter(({ payload }) => payload.event === event)
  const probes = new Set(
    events('photo.accepted')
      .filter(({ payload }) => payload.probe)
      .map(({ payload }) => payload.photo),
  )
  const ours = (event: string) => events(event).filter(({ payload }) => !probes.has(payload.photo))

  expect(ours('photo.accepted')).toHaveLength(accepted)
  expect(sum(web, 'tintype_photos_total', 'rejected')).toBe(1)
  expect(sum(web, 'tintype_photos_total', 'shed')).toBe(0)

  const outcomes = await queueOutcomes(folder)
  for (const [outcome, count] of Object.entries(expected)) {
    const label = `outcome="${outcome}"`
    const counted = [web, converter].map(text => sum(text, 'tintype_promises_total', label))
    expect((counted[0] ?? 0) + (counted[1] ?? 0), `metrics: ${outcome}`).toBe(count)
    expect(events(`promise.${outcome}`), `log: ${outcome}`).toHaveLength(count)
    expect(
      [...outcomes.values()].filter(each => each === outcome),
      `queue: ${outcome}`,
    ).toHaveLength(count)
  }
  const traced = await until(
    async () => {
      const all = await tracedOutcomes(folder)
      return all.length >= 7 && all
    },
    { what: 'the spans on disk' },
  )
  expect(new Map(traced)).toEqual(outcomes)
  expect(traced).toHaveLength(7)

  // Times: the stages of the page, of the log and of the metrics are the same numbers.
  for (const { someone, id } of ready) {
    const { stages, seconds } = await someone.photo(id)
    const { payload: said } = ours('photo.ready').find(({ payload }) => payload.photo === id) as Entry
    const { payload: taken } = ours('photo.accepted').find(({ payload }) => payload.photo === id) as Entry
    for (const stage of ['wait', 'convert', 'store'] as const) expect(stages[stage], stage).toBe(said[stage])
    expect(seconds).toBe(said.seconds)
    const { receive = 0, wait = 0, convert = 0, store = 0 } = stages
    expect(receive + wait + convert + store - (taken.receiveSeconds ?? 0)).toBeCloseTo(said.seconds ?? 0, 5)
  }
  const total = (event: string, member: string) =>
    events(event).reduce((seconds, { payload }) => seconds + (payload[member] ?? 0), 0)
  expect(sum(converter, 'tintype_stage_seconds_sum', 'stage="store"')).toBeCloseTo(
    total('photo.ready', 'store'),
    5,
  )
  expect(sum(converter, 'tintype_stage_seconds_sum', 'stage="convert"')).toBeCloseTo(
    total('conversion.attempted', 'seconds'),
    5,
  )

  // Requests and calls: a client that left is neither a success of ours nor a failure.
  const posts = (status: number) =>
    sum(
      web,
      'http_server_request_duration_seconds_count',
      'http_route="/photos"',
      'method="POST"',
      `status_code="${status}"`,
    )
  for (const status of [415, 422]) expect(posts(status)).toBe(statuses.filter(each => each === status).length)
  expect(sum(web, 'tintype_calls_total', 'outcome="client"')).toBe(3)
  expect(sum(web, 'tintype_calls_total', 'outcome="ours"')).toBe(0)
  expect(sum(converter, 'tintype_calls_total', 'outcome="ours"')).toBe(0)
})
