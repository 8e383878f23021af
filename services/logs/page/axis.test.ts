import fc from 'fast-check'
import { expect, test } from 'vitest'
import { axisOf } from './axis.ts'

test('an axis keeps the order of times, fills its width, and gives quiet times a strip only', () => {
  const steps = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 10_001, max: 10_000_000 })),
    {
      maxLength: 6,
    },
  )
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 5_000 }), (stretches, lastMs) => {
      let at = 0
      const times = [0]
      const gaps = stretches.map(([busy, quiet]) => {
        const fromMs = at + busy
        at = fromMs + quiet
        times.push(fromMs, at)
        return { fromMs, toMs: at }
      })
      times.push(at + lastMs)
      const x = axisOf(0, at + lastMs, gaps)
      const places = times.map(x)
      expect(places[0]).toBe(0)
      expect(places.at(-1)).toBeCloseTo(100, 6)
      for (const [i, place] of places.entries())
        if (i > 0) expect(place).toBeGreaterThan(places[i - 1] as number)
      for (const gap of gaps) expect(x(gap.toMs) - x(gap.fromMs)).toBeLessThan(4.000_001)
    }),
  )
})

test('a story of one entry has an axis too', () => {
  expect(axisOf(5, 5, [])(5)).toBe(0)
})
