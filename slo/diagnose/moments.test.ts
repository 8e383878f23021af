import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { live } from '../test/incident.ts'
import { calm, type World } from '../test/world.ts'
import { diagnose } from './diagnose.ts'

const stepMs = 15_000
const model = readDirectory().service
const burning = {
  incidents: [{ fromMs: 3_600_000, toMs: Infinity }],
  now: ['availability'],
}
/** An hour of calm; then the world of a second since the fault. */
const verdictAt = (
  seconds: number,
  during: (second: number) => Partial<World>,
  {
    burns = true,
    before = {},
    scrapeMs = stepMs,
  }: { burns?: boolean; before?: Partial<World>; scrapeMs?: number } = {},
) => {
  const series = live({
    seconds: 3_600 + seconds,
    stepMs: scrapeMs,
    world: second => ({ ...before, ...(second > 3_600 && during(second - 3_600)) }),
  })
  return diagnose(model, series, {
    atMs: 3_600_000 + seconds * 1000,
    stepMs: scrapeMs,
    ...(burns && { burning }),
  })
}

test('a stage that is slow for two scrapes is not named yet, and one that stays slow is', () => {
  const slowNames = () => ({ probe: { ...calm().probe, dns: 2 } })
  for (const seconds of [15, 30]) {
    const { verdict, remarks } = verdictAt(seconds, slowNames)
    expect(verdict).toBe('unknown')
    expect(remarks).toEqual(['receive became slow within the last 90 s, too short a time to say why'])
  }
  expect(verdictAt(60, slowNames)).toMatchObject({ verdict: 'receive', cause: 'dns' })
})

test('a stage that nothing explains is named after a whole window, not before', () => {
  const slowStore = () => ({ unexplained: 1 })
  expect(verdictAt(120, slowStore).verdict).toBe('unknown')
  expect(verdictAt(240, slowStore)).toMatchObject({ verdict: 'store', cause: null })
})

test('while the backlog of a stall is worked off, the queue is not named as stalled', () => {
  const stalled = (second: number) => (second <= 300 ? { claims: false } : {})
  for (let seconds = 315; seconds <= 480; seconds += 15)
    expect(verdictAt(seconds, stalled).cause, `${seconds} s`).toBeNull()
})

test('what was slow is not named once a converter that hung is replaced and no photo waits', () => {
  const hung = (second: number) => (second <= 300 ? { claims: false } : {})
  expect(verdictAt(290, hung)).toMatchObject({ verdict: 'wait', cause: 'queue-stalled' })
  for (const seconds of [480, 510, 540, 570])
    expect(verdictAt(seconds, hung)).toMatchObject({ verdict: 'unknown', cause: null })
})

test('a fault that is over for a minute is not named, also while no budget burns', () => {
  const slowLines = (second: number) => (second <= 300 ? { body: 8 } : {})
  const verdicts = [300, 360].map(seconds => verdictAt(seconds, slowLines, { burns: false }).verdict)
  expect(verdicts).toEqual(['receive', 'healthy'])
})

test('a web that stops for 15 s in every 50 is named at any moment, also at a scrape each 5 s, and no longer once that is over for a minute', () => {
  const stops = (second: number) =>
    second <= 315 && second % 50 < 15 ? { lag: { ...calm().lag, web: 15 } } : {}
  const at = (second: number) => verdictAt(second, stops, { burns: false, scrapeMs: 5_000 })
  for (const second of [170, 195])
    expect(at(second), `${second} s`).toMatchObject({ verdict: 'receive', cause: 'event-loop' })
  expect(at(380).verdict).toBe('healthy')
})

test('a few seconds that lie in two windows of a minute are no slowness', () => {
  const once = (second: number) => (second <= 10 ? { body: 8 } : {})
  expect(verdictAt(65, once, { burns: false, scrapeMs: 5_000 }).verdict).toBe('healthy')
})

test('descriptors that run out at once are named at once, and not the calls that fail for want of them', () => {
  const out = () => ({ descriptors: 1, failing: { ...calm().failing, uploads: 1 } })
  for (const seconds of [90, 150])
    expect(verdictAt(seconds, out)).toMatchObject({ verdict: 'receive', cause: 'descriptors' })
})

test('once the disk has room again, the calls that failed before do not name another cause', () => {
  const full = (second: number) =>
    second <= 300 ? { disk: { free: 0, files: 1e6 }, failing: { ...calm().failing, uploads: 1 } } : {}
  expect(verdictAt(300, full)).toMatchObject({ verdict: 'receive', cause: 'disk-full' })
  expect(verdictAt(375, full).verdict).toBe('unknown')
})

test('a web that is down is away within 90 s, and the way to it is not named before', () => {
  const named = [60, 90].map(seconds => verdictAt(seconds, () => ({ webUp: false })).cause)
  expect(named).toEqual([null, 'dependency-away'])
})

test('a web that answers people and the probe, but no scrape, is not away when its photos seem slow', () => {
  const unscraped = ({ probe }: World) => ({ webScraped: false, probe: { ...probe, processing: 2 } })
  expect(verdictAt(240, () => unscraped(calm())).cause).not.toBe('dependency-away')
})

test('after converters were away for less than a minute the queue is not named as stalled', () => {
  const redeployed = (second: number) => (second <= 45 ? { converterUp: false } : {})
  for (const seconds of [75, 105])
    expect(verdictAt(seconds, redeployed, { burns: false }).cause, `${seconds} s`).not.toBe('queue-stalled')
})

test('converters that end again and again are too few, also while one of them works', () => {
  const loops = (second: number) => ({
    converterUp: second % 45 < 15,
    converterStarted: 3_600 + second - (second % 45),
  })
  expect(verdictAt(180, loops)).toMatchObject({ verdict: 'wait', cause: 'no-workers' })
})

test('webs that answer in turn behind a load balancer do not end again and again', () => {
  const inTurn = (second: number) => ({ session: 2, webStarted: second % 30 < 15 ? -7_200 : -3_600 })
  expect(verdictAt(180, inTurn)).toMatchObject({ verdict: 'receive', cause: 'session' })
})

test('attempts that end for want of memory name it, even if one of them takes nearly as long as it may', () => {
  const short = () => ({ outOfMemory: 0.6, hung: 1 })
  expect(verdictAt(300, short)).toMatchObject({ verdict: 'convert', cause: 'memory' })
})

test('the kernel’s kills for want of memory are the converter’s when it is started again, and not while it lives', () => {
  const busy = { oomKills: 2, stolen: 6 }
  const ended = (second: number) => ({ ...busy, converterStarted: 3_600 + second - (second % 60) })
  expect(verdictAt(300, () => busy, { burns: false })).toMatchObject({ verdict: 'convert', cause: 'cpu' })
  expect(verdictAt(300, ended)).toMatchObject({ verdict: 'convert', cause: 'memory' })
})

test('people’s first photos after an hour of the probe’s small ones are no fault', () => {
  const night = { photosASecond: 1 / 30, pixels: 3072 }
  const morning = () => ({ photosASecond: 0.1, pixels: 24e6 })
  expect(verdictAt(180, morning, { burns: false, before: night }).verdict).toBe('healthy')
})

test('a few photos of people after a night of the probe’s small ones are no fault, and a slow store then is one', () => {
  const night = { photosASecond: 0.001, pixels: 3072 }
  const morning = { photosASecond: 0.04, pixels: 24e6, body: 3 }
  const slowStore = { ...morning, put: { web: 0.004, converter: 0.9 } }
  for (const seconds of [120, 180, 300]) {
    const [healthy, slow] = [morning, slowStore].map(world =>
      verdictAt(seconds, () => world, { burns: false, before: night }),
    )
    expect(healthy?.verdict, `${seconds} s`).toBe('healthy')
    expect(slow, `${seconds} s`).toMatchObject({ verdict: 'store', cause: 'disk-latency', also: null })
  }
})

test('while the photos that waited for a slow store are worked off, the store is still the cause', () => {
  const slowDisk = (second: number) => (second <= 300 ? { put: { web: 0.004, converter: 0.5 } } : {})
  expect(verdictAt(345, slowDisk, { burns: false })).toMatchObject({
    verdict: 'store',
    cause: 'disk-latency',
  })
  expect(verdictAt(375, slowDisk, { burns: false }).cause).not.toBe('cpu')
})

test('a web that gets less of a processor is named also on a machine that was busy before', () => {
  const world = (starved: number, lag: number, put: number): Partial<World> => ({
    starved,
    lag: { ...calm().lag, web: lag },
    put: { ...calm().put, web: put },
  })
  const found = verdictAt(180, () => world(0.945, 0.16, 0.25), {
    burns: false,
    before: world(0.82, 0.035, 0.06),
  })
  expect(found).toMatchObject({ verdict: 'receive', cause: 'cpu' })
})
