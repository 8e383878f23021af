import { expect, test } from 'vitest'
import { estimate, estimateRatio, quantile, row, table } from './rows.ts'

test('a row knows whether its goal is met, on the bound too', () => {
  expect(row('a', 1.2, 'ratio', '<= 1.20').verdict).toBe('met')
  expect(row('a', 1.21, 'ratio', '<= 1.20').verdict).toBe('missed')
  expect(row('a', 0.9, 'ratio', '>= 0.90').verdict).toBe('met')
  expect(row('a', NaN, 'ratio', '>= 0.90').verdict).toBe('missed')
  expect(row('a', 5, 'ms')).toEqual({ name: 'a', value: 5, unit: 'ms' })
})

test('a goal inside the interval is neither met nor missed', () => {
  const measured = { value: 1.02, low: 1, high: 1.04 }
  expect(row('a', measured, 'ratio', '<= 1.03').verdict).toBe('unclear')
  expect(row('a', measured, 'ratio', '<= 1.04').verdict).toBe('met')
  expect(row('a', measured, 'ratio', '<= 0.99').verdict).toBe('missed')
  expect(table([row('a', measured, 'ratio', '<= 1.03')])).toContain(
    '| a | 1.02 (1 to 1.04) | ratio | <= 1.03 | unclear |',
  )
})

test('a quantile is one of the samples', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2)
  expect(quantile([4, 1, 3, 2], 0.99)).toBe(4)
  expect(quantile([7], 0)).toBe(7)
})

test('an interval is the one of Student’s t', () => {
  // Mean 3, standard deviation 1.5811, four degrees of freedom: 3 ± 2.776 · 1.5811 / √5.
  const { value, low, high } = estimate([1, 2, 3, 4, 5])
  expect(value).toBe(3)
  expect(low).toBeCloseTo(1.04, 1)
  expect(high).toBeCloseTo(4.96, 1)
})

test('twice and half are equally far from 1', () => {
  const { value, low, high } = estimateRatio([2, 0.5])
  expect(value).toBeCloseTo(1)
  expect(low * high).toBeCloseTo(1)
})
