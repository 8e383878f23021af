import { expect, test } from 'vitest'
import { differences, differenceTable } from './against.ts'
import { row } from './rows.ts'

const pair = (before: number, now: number) => ({
  before: [row('a', before, 'ms'), row('old', 1, 'ms')],
  now: [row('a', now, 'ms'), row('new', 1, 'ms')],
})

test('a difference counts as a change when it is larger than the noise of its pairs', () => {
  const [slower] = differences([pair(10, 12), pair(11, 13.1), pair(9, 10.9), pair(30, 32)])
  expect(slower).toMatchObject({ name: 'a', before: 15, now: 17, changed: true })
  expect(slower?.difference.value).toBeCloseTo(2)
  const [noise] = differences([pair(10, 12), pair(11, 9), pair(9, 10), pair(12, 11)])
  expect(noise?.changed).toBe(false)
})

test('only rows that both sides have are compared', () => {
  const all = differences([pair(1, 2), pair(1, 2)])
  expect(all.map(({ name }) => name)).toEqual(['a'])
  expect(differenceTable(all)).toContain('| a | 1 | 2 | 1 (1 to 1) | ms | changed |')
})
