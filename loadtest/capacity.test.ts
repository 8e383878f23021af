import { expect, test } from 'vitest'
import { findCapacity, judge, type Step } from './capacity.ts'
import { capacityMarkdown } from './report.ts'

const seconds = 25
const result = {
  asked: 100,
  journeys: 100,
  dropped: 0,
  limited: 0,
  keptRatio: 1,
  shed: 0,
  readySeconds: { median: 0, p95: 0, p99: 0, max: 0 },
  leftSeconds: 0.5,
  crossed: [],
}
const cpuBy = { children: 0.5, web: 0.2, converter: 0.1, logs: 0, slo: 0, generator: 0.1, others: 0 }

/** A service that can do `capacity` photos a second: above it the work piles up with the excess. `disturbed`: its nth step fails. */
function service(capacity: number, { disturbed = 0, generatorLimit = Infinity } = {}) {
  let nth = 0
  return async (rate: number): Promise<Step> => {
    const disturbance = ++nth === disturbed ? 5 : 0
    const journeys = Math.min(rate, generatorLimit) * seconds
    const leftSeconds = 0.5 + disturbance + Math.max(0, seconds * (rate / capacity - 1))
    const measured = { ...result, asked: rate * seconds, journeys, leftSeconds }
    const utilisation = {
      cpu: Math.min(1, rate / capacity),
      slots: 0.99,
      disk: 0.2,
      eventLoop: 0.1,
      memory: 0.3,
      descriptors: 0.01,
    }
    const used = { utilisation, cpuBy, queue: { depth: 0, oldestSeconds: 0 } }
    return { rate, seconds, result: measured, used, ...judge(measured, seconds, 0.99) }
  }
}

test('the knee is found to ± 5 %, and a little above the capacity: a step must be long to see a small excess', async () => {
  for (const capacity of [3, 17, 41.5]) {
    const { knee, uncertainty, throughput } = await findCapacity(service(capacity), 4)
    expect(uncertainty).toBeLessThanOrEqual(0.05)
    expect(knee.low).toBeLessThan(capacity * 1.07)
    expect(knee.high).toBeGreaterThan(capacity)
    expect(throughput).toBeGreaterThan(capacity * 0.95)
    expect(throughput).toBeLessThan(capacity * 1.02)
  }
})

test('one failure that others caused moves the knee by nothing', async () => {
  const quiet = await findCapacity(service(17), 4)
  for (const disturbed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const { knee } = await findCapacity(service(17, { disturbed }), 4)
    expect(knee).toEqual(quiet.knee)
  }
})

test('the generator’s own limit is no knee: the capacity is at least what held', async () => {
  const { knee, uncertainty } = await findCapacity(service(100, { generatorLimit: 20 }), 4)
  expect(knee.low).toBeGreaterThan(18)
  expect({ high: knee.high, uncertainty }).toEqual({ high: null, uncertainty: null })
})

test('a resource that is used up is named before the slots, which are busy because of it', async () => {
  expect((await findCapacity(service(20), 4)).saturated).toMatchObject({ resource: 'cpu' })
})

test('a shed or late photo or a backlog that grows does not hold, a dropped arrival says nothing', () => {
  const holds = (change: Partial<typeof result>) => judge({ ...result, ...change }, seconds, 0.99).holds
  expect(holds({})).toBe('yes')
  expect(holds({ shed: 1 })).toBe('no')
  expect(holds({ keptRatio: 0.98 })).toBe('no')
  expect(holds({ leftSeconds: 2.5 })).toBe('no')
  expect(holds({ dropped: 1, keptRatio: 0 })).toBe('void')
  expect(holds({ limited: 1, keptRatio: 0 })).toBe('void')
  expect(holds({ journeys: 90 })).toBe('void')
  expect(judge({ ...result, asked: 0, journeys: 0 }, seconds, 0.99)).toEqual({
    holds: 'void',
    why: 'no photo was tried',
  })
  // Rounded to the nearest it would be the 99.0 % that were asked for.
  const late = judge({ ...result, keptRatio: 0.98996 }, seconds, 0.99)
  expect(late.why).toBe('only 98.99 % within the promise')
})

test('the report says after how long the wait passes the promise that the service gave', async () => {
  const capacity = await findCapacity(service(20), 4)
  const after = (promiseSeconds: number) =>
    capacityMarkdown({
      at: '',
      url: '',
      machine: { cores: 1, model: '' },
      traffic: { photosASecond: 1, assumed: true },
      measured: [{ slots: null, capacity, left: null }],
      promiseSeconds,
    }).match(/the wait passes .* minutes?,/)?.[0]
  expect(after(60)).toMatch(/^the wait passes 60 s after about \d minutes,$/)
  expect(after(120)).toMatch(/^the wait passes 120 s after about 1\d minutes,$/)
})
