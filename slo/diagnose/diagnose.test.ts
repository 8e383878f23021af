import { describe, expect, test } from 'vitest'
import { diagnose } from './diagnose.ts'
import { simulate, type World } from './simulated.ts'

const stepMs = 1_000
const verdictOf = (incident: (world: World) => Partial<World>, seconds = { before: 240, during: 30 }) => {
  const series = simulate(seconds, stepMs, incident)
  return diagnose(series, (seconds.before + seconds.during) * 1000, stepMs)
}

/** What a person does to the world, and what is the truth. Found by how the resources behave, not by a name. */
const truths: [string, (world: World) => Partial<World>, string, string | null][] = [
  ['nothing happens', () => ({}), 'healthy', null],
  ['traffic doubles and all is well', world => ({ photosASecond: world.photosASecond * 2 }), 'healthy', null],
  [
    'a slow name server',
    world => ({ probe: { ...world.probe, dns: world.probe.dns + 2 } }),
    'receive',
    'dns',
  ],
  [
    'a full accept queue',
    world => ({ probe: { ...world.probe, connect: world.probe.connect + 1 } }),
    'receive',
    'network',
  ],
  ['slow lines of the clients', world => ({ body: world.body + 6 }), 'receive', 'slow-client'],
  [
    'a slow disk under web',
    world => ({ put: { ...world.put, web: world.put.web + 0.9 } }),
    'receive',
    'disk-latency',
  ],
  [
    'web’s event loop blocked',
    world => ({ lag: { ...world.lag, web: world.lag.web + 0.8 } }),
    'receive',
    'event-loop',
  ],
  ['another process eats the processors', () => ({ stolen: 3 }), 'convert', 'cpu'],
  ['photos six times as large', world => ({ pixels: world.pixels * 6 }), 'convert', 'big-inputs'],
  [
    'a release that is twice as slow',
    world => ({ cpuPerPixel: world.cpuPerPixel * 2, version: '2.0.0' }),
    'convert',
    'release',
  ],
  ['no converter lives', () => ({ converterUp: false }), 'wait', 'no-workers'],
  ['nobody claims although slots are free', () => ({ claims: false }), 'wait', 'queue-stalled'],
  [
    'more photos than the slots can do',
    world => ({ photosASecond: world.photosASecond * 5 }),
    'wait',
    'traffic',
  ],
  ['a poison photo kills children again and again', () => ({ crashes: 0.6 }), 'convert', 'poison'],
  ['a memory ceiling that is too low', () => ({ outOfMemory: 0.6 }), 'convert', 'memory'],
  [
    'a slow store for thumbnails only',
    world => ({ put: { ...world.put, converter: world.put.converter + 0.5 } }),
    'store',
    'disk-latency',
  ],
  ['a converter whose clock is ahead', () => ({ skewSeconds: 12 }), 'wait', 'clock-skew'],
  ['events that stall', world => ({ eventLag: world.eventLag + 8 }), 'deliver', 'delivery'],
]

describe('one stage and one cause are named when', () => {
  test.each(truths)('%s', (_, incident, verdict, cause) => {
    expect(verdictOf(incident)).toMatchObject({ verdict, cause })
  })
})

test('of two slow things the larger is named and the other mentioned', () => {
  const { verdict, cause, also } = verdictOf(world => ({ eventLag: 9, put: { ...world.put, converter: 2 } }))
  expect({ verdict, cause, also: also?.stage }).toEqual({
    verdict: 'deliver',
    cause: 'delivery',
    also: 'store',
  })
})

test('metrics that are away are unknown, not healthy', () => {
  expect(verdictOf(() => ({ metricsUp: false }))).toMatchObject({
    verdict: 'unknown',
    cause: null,
  })
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
