import { expect, test } from 'vitest'
import { findCapacity, holds, type Step } from './capacity.ts'

const result = {
  dropped: 0,
  journeys: 100,
  keptRatio: 1,
  shed: 0,
  readySeconds: { median: 0, p95: 0, p99: 0, max: 0 },
  crossed: [],
}

/** A service that can do `capacity` photos a second: above it the queue grows with the excess. */
const service =
  (capacity: number, dropped = 0) =>
  async (rate: number): Promise<Step> => {
    const queue = { depth: 0, oldestSeconds: Math.max(0, (20 * (rate - capacity)) / rate) }
    const utilisation = {
      cpu: rate / capacity,
      generatorCpu: 0.1,
      slots: 0.5,
      disk: 0.2,
      eventLoop: 0.1,
      descriptors: 0.01,
    }
    return { rate, result: { ...result, dropped }, queue, utilisation, holds: holds(result, queue, 0.99) }
  }

test('the knee is found within its own stated uncertainty', async () => {
  for (const capacity of [3, 17, 41.5]) {
    const { rate, uncertainty, knee } = await findCapacity(service(capacity), 2)
    expect(knee.low).toBeLessThan(knee.high)
    expect(Math.abs(rate - capacity) / capacity).toBeLessThan(uncertainty + 0.1)
  }
})

test('the resource with the least left at the knee is named', async () => {
  expect((await findCapacity(service(20), 2)).saturated).toMatchObject({ resource: 'cpu' })
})

test('a first rate that does not hold is searched below', async () => {
  expect((await findCapacity(service(5), 20)).knee.low).toBeLessThan(6)
})

test('arrivals that the generator dropped void the search', async () => {
  await expect(findCapacity(service(20, 3), 2)).rejects.toThrow('its limit, not the service')
})

test('a shed or late photo, or a queue that grew, does not hold', () => {
  const calm = { depth: 0, oldestSeconds: 0 }
  expect(holds(result, calm, 0.99)).toBe(true)
  expect(holds({ ...result, shed: 1 }, calm, 0.99)).toBe(false)
  expect(holds({ ...result, keptRatio: 0.98 }, calm, 0.99)).toBe(false)
  expect(holds(result, { depth: 90, oldestSeconds: 4 }, 0.99)).toBe(false)
})
