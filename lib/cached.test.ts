import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { cached } from './cached.ts'

beforeAll(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterAll(() => void vi.useRealTimers())

test('what many ask at once is read once, and again after its time', async () => {
  let reads = 0
  const read = cached(5_000, async () => ++reads)
  expect(await Promise.all([read(), read(), read()])).toEqual([1, 1, 1])
  vi.advanceTimersByTime(4_999)
  expect(await read()).toBe(1)
  vi.advanceTimersByTime(1)
  expect(await read()).toBe(2)
})

test('while a source is away it is asked no more often', async () => {
  let reads = 0
  const away = async () => {
    reads++
    throw new Error('away')
  }
  const read = cached(5_000, away)
  for (const laterMs of [0, 4_999, 1]) {
    vi.advanceTimersByTime(laterMs)
    await expect(read()).rejects.toThrow('away')
  }
  expect(reads).toBe(2)
})

test('what takes longer than its time is not begun twice', async () => {
  let reads = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  const slow = async () => {
    reads++
    await promise
  }
  const read = cached(5_000, slow)
  const first = read()
  vi.advanceTimersByTime(20_000)
  const second = read()
  resolve()
  await Promise.all([first, second])
  expect(reads).toBe(1)
})
