import { expect, test } from 'vitest'
import { quantile, row } from './rows.ts'

test('a row knows whether its goal is met, on the bound too', () => {
  expect(row('a', 1.2, 'ratio', '<= 1.20').met).toBe(true)
  expect(row('a', 1.21, 'ratio', '<= 1.20').met).toBe(false)
  expect(row('a', 0.9, 'ratio', '>= 0.90').met).toBe(true)
  expect(row('a', Number.NaN, 'ratio', '>= 0.90').met).toBe(false)
  expect(row('a', 5, 'ms')).toEqual({ name: 'a', value: 5, unit: 'ms' })
})

test('a quantile is one of the samples', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2)
  expect(quantile([4, 1, 3, 2], 0.99)).toBe(4)
  expect(quantile([7], 0)).toBe(7)
})
