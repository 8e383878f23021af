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

test('what failed is read again at once', async () => {
  let isAway = true
  const read = cached(5_000, async () => {
    if (isAway) throw new Error('away')
    return 1
  })
  await expect(read()).rejects.toThrow('away')
  isAway = false
  expect(await read()).toBe(1)
})
