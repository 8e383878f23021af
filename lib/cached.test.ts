import { expect, test } from 'vitest'
import { cached } from './cached.ts'

test('what many ask at once is read once, and again after its time', async () => {
  let [now, reads] = [0, 0]
  const read = cached(
    5_000,
    async () => ++reads,
    () => now,
  )
  expect(await Promise.all([read(), read(), read()])).toEqual([1, 1, 1])
  now = 4_999
  expect(await read()).toBe(1)
  now = 5_000
  expect(await read()).toBe(2)
})

test('while a source is away it is asked no more often', async () => {
  let [now, reads] = [0, 0]
  const away = async () => {
    reads++
    throw new Error('away')
  }
  const read = cached(5_000, away, () => now)
  for (now of [0, 4_999, 5_000]) await expect(read()).rejects.toThrow('away')
  expect(reads).toBe(2)
})

test('what takes longer than its time is not begun twice', async () => {
  let [now, reads] = [0, 0]
  const { promise, resolve } = Promise.withResolvers<void>()
  const slow = async () => {
    reads++
    await promise
  }
  const read = cached(5_000, slow, () => now)
  const first = read()
  now = 20_000
  const second = read()
  resolve()
  await Promise.all([first, second])
  expect(reads).toBe(1)
})
