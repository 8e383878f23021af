import { expect, test } from 'vitest'
import { untilNextStart } from './probe.ts'

test('each minute has four starts, one a quarter, wherever the clock stands', () => {
  const starts: number[] = []
  let now = 1_000_003
  for (let i = 0; i < 400; i++) {
    now += untilNextStart(now, (i * 0.37) % 1)
    starts.push(now)
  }
  const minutes = Map.groupBy(starts, start => Math.floor(start / 60_000))
  const whole = [...minutes.values()].slice(1, -1)
  expect(whole.length).toBeGreaterThan(90)
  expect(whole.every(({ length }) => length === 4)).toBe(true)
  expect(starts.every(start => start % 15_000 >= 1_000 && start % 15_000 <= 9_000)).toBe(true)
})
