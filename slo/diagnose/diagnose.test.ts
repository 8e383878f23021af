import { describe, expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { tally } from '../math/sli.ts'
import { viewOf } from '../serve/view.ts'
import type { Objective, Series } from '../sources/index.ts'
import { simulate } from '../test/incident.ts'
import { calm, type World } from '../test/world.ts'
import { diagnose as diagnoseWith } from './diagnose.ts'
import { incidentNote, sentence, terminal } from './note.ts'
import type { Verdict } from './verdict.ts'

const stepMs = 1_000
const model = readDirectory().service
const diagnose = (series: readonly Series[], atMs: number, stepMs: number, burning: string[] = []): Verdict =>
  diagnoseWith(model, series, { atMs, stepMs, burning: { incidents: [], now: burning } })
const verdictOf = (
  incident: (world: World) => Partial<World>,
  seconds = { before: 240, during: 30 },
  usual: Partial<World> = {},
) => {
  const series = simulate(seconds, stepMs, incident, usual)
  return diagnose(series, (seconds.before + seconds.during) * 1000, stepMs)
}

const receive = 'receive'
const wait = 'wait'
const convert = 'convert'
const store = 'store'
const deliver = 'deliver'

/** What a person does to the world, and what is the truth: each stage by each resource that bears on it. */
const truths: [string, (world: World) => Partial<World>, string, string | null][] = [
  ['nothing happens', () => ({}), 'healthy', null],
  ['traffic doubles and all is well', world => ({ photosASecond: world.photosASecond * 2 }), 'healthy', null],
  ['there is no traffic', () => ({ photosASecond: 0 }), 'healthy', null],

  ['a slow name server', ({ probe }) => ({ probe: { ...probe, dns: 2 } }), receive, 'dns'],
  ['a dead name server', ({ probe }) => ({ probeDies: 'dns', probe: { ...probe, dns: 5 } }), receive, 'dns'],
  ['a full accept queue', ({ probe }) => ({ probe: { ...probe, connect: 1 } }), receive, 'network'],
  ['no process listens', () => ({ probeDies: 'connect' }), receive, 'network'],
  ['a slow handshake', ({ probe }) => ({ probe: { ...probe, tls: 1.5 } }), receive, 'tls'],
  [
    'a handshake that fails',
    ({ probe }) => ({ probe: { ...probe, tls: 0.1 }, probeDies: 'tls' }),
    receive,
    'tls',
  ],
  ['a slow way to web', () => ({ lost: 1.5 }), receive, 'network'],
  ['slow lines of the clients', world => ({ body: world.body + 6 }), receive, 'slow-client'],
  ['a slow session look-up', () => ({ session: 0.8 }), receive, 'session'],
  [
    'a slow disk under web',
    ({ put, queue }) => ({ put: { ...put, web: 0.9 }, queue: { ...queue, web: 0.5 } }),
    receive,
    'disk-latency',
  ],
  [
    'a disk on which no write ends',
    ({ probe }) => ({ diskStands: true, probe: { ...probe, processing: 5 } }),
    receive,
    'disk-latency',
  ],
  ['the queue locked for web', ({ queue }) => ({ queue: { ...queue, web: 1.2 } }), receive, 'queue-stalled'],
  ['web’s event loop blocked', ({ lag }) => ({ lag: { ...lag, web: 0.8 } }), receive, 'event-loop'],
  ['web short of processor', ({ lag }) => ({ starved: 0.8, lag: { ...lag, web: 0.8 } }), receive, 'cpu'],
  [
    'web, which collects garbage for a quarter of its time',
    ({ lag }) => ({ garbage: 0.27, lag: { ...lag, web: 0.28 } }),
    receive,
    'memory',
  ],
  [
    'web on a machine that swaps',
    ({ lag }) => ({ swapping: 0.65, lag: { ...lag, web: 2 } }),
    receive,
    'memory',
  ],
  [
    'web so short of processor that it answers neither scrapes nor the probe',
    ({ probe }) => ({
      starved: 0.97,
      webScraped: false,
      probeDies: 'processing',
      probe: { ...probe, processing: 5 },
    }),
    receive,
    'cpu',
  ],
  ['web collects garbage', ({ lag }) => ({ garbage: 0.8, lag: { ...lag, web: 0.8 } }), receive, 'memory'],
  [
    'web out of descriptors',
    ({ failing }) => ({ descriptors: 1, failing: { ...failing, uploads: 1 } }),
    receive,
    'descriptors',
  ],
  [
    'a full disk',
    ({ failing }) => ({ disk: { free: 0, files: 1e6 }, failing: { ...failing, uploads: 1 } }),
    receive,
    'disk-full',
  ],
  [
    'a disk without a file left',
    ({ failing }) => ({ disk: { free: 5e9, files: 0 }, failing: { ...failing, uploads: 1 } }),
    receive,
    'file-count',
  ],
  [
    'storage that answers web with errors',
    ({ failing }) => ({ failing: { ...failing, uploads: 1 } }),
    receive,
    'dependency-away',
  ],
  ['web away', () => ({ webUp: false }), receive, 'dependency-away'],
  [
    'web restarting again and again',
    ({ failing }) => ({ webRestartsEverySeconds: 5, probeDies: 'connect', failing }),
    receive,
    'dependency-away',
  ],

  ['no converter lives', () => ({ converterUp: false }), wait, 'no-workers'],
  ['children that do not start', () => ({ slots: 0 }), wait, 'no-workers'],
  ['converters do not claim although slots are free', () => ({ claims: false }), wait, 'queue-stalled'],
  [
    'converters do not claim, and web refuses most photos and those of the probe',
    () => ({ claims: false, refused: 0.8 }),
    wait,
    'queue-stalled',
  ],
  [
    'the queue locked for converters',
    ({ queue }) => ({ queue: { ...queue, converter: 2 } }),
    wait,
    'queue-stalled',
  ],
  [
    'more photos than the slots can do',
    world => ({ photosASecond: world.photosASecond * 5 }),
    wait,
    'traffic',
  ],
  ['most of the slots gone', () => ({ slots: 0.25 }), wait, 'no-workers'],
  ['a converter whose clock is ahead', () => ({ skewSeconds: 12 }), wait, 'clock-skew'],

  ['another process eats the processors', () => ({ stolen: 3 }), convert, 'cpu'],
  ['so much of it that photos wait', () => ({ stolen: 8 }), convert, 'cpu'],
  ['photos six times as large', world => ({ pixels: world.pixels * 6 }), convert, 'big-inputs'],
  [
    'a format that costs more',
    world => ({ format: 'avif', cpuPerPixel: world.cpuPerPixel * 4 }),
    convert,
    'big-inputs',
  ],
  [
    'a release that is twice as slow',
    world => ({ cpuPerPixel: world.cpuPerPixel * 2, version: '2.0.0' }),
    convert,
    'release',
  ],
  ['a machine that swaps', () => ({ swapping: 0.8 }), convert, 'memory'],
  ['a poison photo kills children again and again', () => ({ crashes: 0.6 }), convert, 'poison'],
  ['a memory ceiling that is too low', () => ({ outOfMemory: 0.6 }), convert, 'memory'],
  ['one slot hung', () => ({ hung: 1 }), convert, 'hung-slot'],
  ['originals slow to read', ({ get }) => ({ get: { ...get, converter: 0.8 } }), convert, 'disk-latency'],

  [
    'a slow store for thumbnails only',
    ({ put }) => ({ put: { ...put, converter: 0.5 } }),
    store,
    'disk-latency',
  ],
  [
    'so slow that photos wait',
    ({ put, queue }) => ({ put: { ...put, converter: 1.2 }, queue: { ...queue, converter: 0.6 } }),
    store,
    'disk-latency',
  ],
  [
    'so slow that each slot also waits for the photo before, on a machine that is busy from then on, too',
    ({ put }) => ({ put: { ...put, converter: 1.2 }, unexplained: 1.6, starved: 0.6 }),
    store,
    'disk-latency',
  ],
  [
    'storage that answers the converter with errors',
    ({ failing }) => ({ failing: { ...failing, storage: 1 } }),
    store,
    'dependency-away',
  ],

  [
    'an S3 that is slow to store',
    ({ put }) => ({ storage: 's3', put: { ...put, converter: 0.5 } }),
    store,
    'network',
  ],
  [
    'an S3 that is slow to read',
    ({ get }) => ({ storage: 's3', get: { ...get, converter: 0.8 } }),
    convert,
    'network',
  ],
  [
    'an S3 that answers the converter with errors',
    ({ failing }) => ({ storage: 's3', failing: { ...failing, storage: 1 } }),
    store,
    'dependency-away',
  ],
  [
    'a PostgreSQL as slow as the disk, which is another',
    ({ put, queue }) => ({ engine: 'postgres', put: { ...put, web: 0.5 }, queue: { ...queue, web: 0.9 } }),
    receive,
    'queue-stalled',
  ],

  ['events that stall', world => ({ eventLag: world.eventLag + 8 }), deliver, 'delivery'],
  ['thumbnails slow to read', ({ get }) => ({ get: { ...get, web: 2 } }), deliver, 'disk-latency'],
  ['a folder with far too many files', () => ({ list: 3 }), deliver, 'file-count'],
]

describe('one stage and one cause are named when', () => {
  test.each(truths)('%s', (_, incident, verdict, cause) => {
    const { storage, engine } = { ...calm(), ...incident(calm()) }
    const found = verdictOf(incident, undefined, { storage, engine })
    expect(found).toMatchObject({ verdict, cause })
    const readings = found.evidence.map(({ cause, metric }) => `${cause} ${metric}`)
    expect(readings).toEqual([...new Set(readings)])
  })
})

test('while a queue fills, a stage that is slow because of the same photos is not named', () => {
  const flood = ({ photosASecond, lag }: World) => ({
    photosASecond: photosASecond * 5,
    starved: 0.8,
    lag: { ...lag, web: 0.8 },
  })
  const said = [7, 8, 12, 20].map(during => verdictOf(flood, { before: 240, during }))
  expect(said.map(({ verdict }) => verdict)).toEqual(['unknown', 'unknown', 'wait', 'wait'])
})

test('what to do about a slow S3 speaks of S3, and about a slow disk of the disk', () => {
  const actionOf = (storage: World['storage']) =>
    verdictOf(({ put }) => ({ storage, put: { ...put, converter: 0.5 } }), undefined, { storage }).lever
  expect(actionOf('s3')).toContain('S3')
  expect(actionOf('fs')).toContain('disk')
})

test('of two slow things the larger is named and the other mentioned', () => {
  const { verdict, cause, also } = verdictOf(world => ({
    eventLag: 9,
    put: { ...world.put, converter: 0.15 },
  }))
  expect({ verdict, cause, also: also?.stage }).toEqual({
    verdict: 'deliver',
    cause: 'delivery',
    also: 'store',
  })
})

test('without an earlier time only what threatens the promise is slow', () => {
  const verdict = verdictOf(() => ({ claims: false }), { before: 5, during: 25 })
  expect(verdict).toMatchObject({ verdict: 'wait', cause: 'queue-stalled' })
  expect(verdict.remarks).toContain('there is next to no earlier time to compare with')
  // How many photos the slots can do is not known from a single window: the photos wait for the slow store.
  const slowStore = ({ put }: World) => ({ put: { ...put, converter: 5 } })
  for (const during of [4, 6, 8, 12])
    expect(verdictOf(slowStore, { before: 16, during }, { storage: 's3' }).verdict).toMatch(/unknown|store/)
})

test('a morning’s first people are not slow beside a night of the probe’s small photo', () => {
  const night = simulate({ before: 240, during: 30 }, stepMs, world => ({ ...world, photosASecond: 8 }), {
    photosASecond: 1 / 15,
    pixels: 3072,
  })
  expect(diagnose(night, 270_000, stepMs)).toMatchObject({ verdict: 'healthy' })
})

test('while a budget burns and no stage grows the answer is unknown, not healthy', () => {
  const series = simulate({ before: 240, during: 30 }, stepMs, () => ({}))
  expect(diagnose(series, 270_000, stepMs, ['latency'])).toMatchObject({
    verdict: 'unknown',
    remarks: ['the budget of latency burns, but no stage’s time grew'],
  })
  expect(diagnose(series, 270_000, stepMs, ['availability', 'latency']).remarks).toEqual([
    'the budgets of availability and latency burn, but no stage’s time grew',
  ])
})

test('each stage says what data it had and what it lacked', () => {
  const { stages } = verdictOf(() => ({ converterUp: false }))
  const convert = stages.find(({ stage }) => stage === 'convert')
  expect(convert?.lacked).toContain('tintype_slot_oldest_seconds')
  expect(stages.find(({ stage }) => stage === 'receive')).toMatchObject({ lacked: [] })
})

test('an incident’s note has what to check, whom to ask and what to add', () => {
  const verdict = verdictOf(({ put }) => ({ put: { ...put, converter: 0.5 } }))
  const directory = readDirectory()
  const latency = directory.objectives.find(({ name }) => name === 'latency') as Objective
  const objective = { ...latency, displayName: 'Orders in time', unit: 'orders' }
  const slots = [100, 100, 100, 70, 70].map((good, start) => ({ start, good, total: 100, unknown: false }))
  const incident = {
    verdict,
    examples: [{ seconds: 3.2, order: 7, shop: 'west' }],
    atMs: 270_000,
    directory: {
      ...directory,
      service: {
        ...directory.service,
        answering: { 'the disks’ owners': ['disk-latency'] },
        exampleCommand: 'show $order --at $shop',
      },
    },
    views: [viewOf({ objective, slots, tally: tally(objective, 0, slots), begun: 0 }, 0, 5)],
    logged: [{ what: 'storage.called put seconds', mean: 0.5, times: 30 }],
  }
  const note = incidentNote(incident)
  const elsewhere = { ...directory, service: { ...directory.service, runbooks: 'none' } }
  expect(incidentNote({ ...incident, directory: elsewhere })).not.toContain('Runbook')
  expect(note).toContain('because of disk-latency')
  expect(note).toContain('00:04:00 UTC: the first alert')
  expect(note).toContain(
    'sum(rate(tintype_storage_seconds_sum{adapter!="s3",operation="put",job="converter"}[12s]))',
  )
  expect(note).toContain('the disks’ owners')
  expect(note).toContain('docs/runbooks/cause-disk-latency.md')
  expect(note).toContain('Orders in time: 0 of 5 bad orders left, 60 used: 55 beyond the budget')
  expect(incidentNote({ ...incident, views: [] })).toContain('no alert fires')
  const unknown = { ...verdict, verdict: 'unknown', cause: null, lever: null }
  expect(incidentNote({ ...incident, verdict: unknown })).not.toContain('--detail')
  const healthy = { ...unknown, verdict: 'healthy', since: null }
  expect(incidentNote({ ...incident, verdict: healthy })).toMatch(/^# No incident, seen (?!.*beginning)/s)
  expect(note).toContain('- 3.2 s, order 7, shop west: show 7 --at west')
  expect(note).toMatch(/an alert on .* half-way/)
  expect(note).toContain('storage.called put seconds 0.500 (30 times)')
})

test('a sentence names three processes at most: a receiver of alerts refuses what is too long', () => {
  const replicas = Array.from({ length: 200 }, (_, i) => `converter 10.0.0.${i}:80 is away`)
  const said = sentence({ ...verdictOf(() => ({})), replicas })
  expect(said).toContain('converter 10.0.0.2:80 is away. And 197 more processes.')
  expect(said).not.toContain('10.0.0.3')
})

test('the columns of the terminal are as wide as the longest name', () => {
  const verdict = verdictOf(({ put }) => ({ put: { ...put, converter: 0.5 } }))
  const [first, ...others] = verdict.stages
  const stages = [{ ...first, stage: 'a-stage-with-a-long-name' }, ...others] as typeof verdict.stages
  const lines = terminal({
    verdict: { ...verdict, stages },
    examples: [],
    atMs: 0,
    directory: readDirectory(),
    views: [],
  })
  const bars = lines.split('\n').flatMap(line => /^\S+ +[█·]{30}/.exec(line)?.[0].length ?? [])
  expect(bars).toHaveLength(stages.length)
  expect(new Set(bars).size).toBe(1)
})

test('of a service without stages what is away is said', () => {
  const series = simulate({ before: 240, during: 30 }, stepMs, () => ({ converterUp: false }))
  const without = { ...model, stages: [], resources: [] }
  expect(diagnoseWith(without, series, { atMs: 270_000, stepMs })).toMatchObject({
    verdict: 'unknown',
    remarks: ['the metrics of converter are away', 'service.yaml names no stages to compare'],
  })
})

test('metrics that are away are unknown, not healthy', () => {
  expect(verdictOf(() => ({ metricsUp: false }))).toMatchObject({
    verdict: 'unknown',
    cause: null,
  })
})

test('metrics that are away while a budget burns do not say that their process is away', () => {
  const series = simulate({ before: 240, during: 30 }, stepMs, () => ({}))
  const cut = series.map(each => {
    const points = each.points.filter(({ at }) => at <= 240_000 || each.labels.job !== 'web')
    return each.name === 'up' && each.labels.job === 'web'
      ? { ...each, points: each.points.map(({ at, value }) => ({ at, value: at > 240_000 ? 0 : value })) }
      : { ...each, points }
  })
  expect(diagnose(cut, 270_000, stepMs, ['latency'])).toMatchObject({ verdict: 'unknown', cause: null })
})

test('a service that began a moment ago is unknown: there is nothing to compare with', () => {
  expect(verdictOf(() => ({}), { before: 5, during: 12 })).toMatchObject({ verdict: 'unknown' })
})

test('a stage that grew without any resource that explains it has no cause', () => {
  expect(verdictOf(world => ({ unexplained: world.unexplained + 1 }))).toMatchObject({
    verdict: 'store',
    cause: null,
  })
})

test('the log server away is said, and that photos are not slow', () => {
  expect(verdictOf(() => ({ logsUp: false }))).toMatchObject({
    verdict: 'healthy',
    cause: 'dependency-away',
  })
})

test('since is when it began, within a few scrapes', () => {
  const { since } = verdictOf(world => ({ put: { ...world.put, converter: world.put.converter + 0.5 } }))
  expect(Math.abs(Date.parse(since ?? '') - 240_000)).toBeLessThanOrEqual(4 * stepMs)
})
