import { Problem } from '@tintype/lib/http.ts'
import type { Request, RequestHandler, Response } from 'express'
import { expect, test } from 'vitest'
import { parseOutage } from '../math/outage.ts'
import { createPublicWork } from './public-work.ts'

test('what the public port computes gets a tenth of the time; then it is refused with Retry-After', () => {
  let now = 0
  let computed = 0
  const bounded = createPublicWork(() => now)
  const handlers = [1, 2].map(() =>
    bounded((() => {
      now += 200
      computed += 200
    }) as RequestHandler),
  )
  let refused = 0
  let last: unknown
  for (let i = 0; now < 120_000; i++)
    try {
      handlers[i % 2]?.({} as Request, {} as Response, () => {})
    } catch (error) {
      last = error
      refused++
      now += 100
    }
  expect(last).toMatchObject({ status: 503, limit: 'publicWork', headers: { 'Retry-After': '5' } })
  expect(refused).toBeGreaterThan(500)
  expect(computed / now).toBeLessThan(0.13)
  now += 60_000
  expect(() => handlers[0]?.({} as Request, {} as Response, () => {})).not.toThrow()
})

test('a handler that fails is charged, too', () => {
  let now = 0
  const failing = createPublicWork(() => now)(() => {
    now += 5_000
    throw new Problem(400, 'bad', 'bad')
  })
  const call = () => failing({} as Request, {} as Response, () => {})
  expect(call).toThrow('bad')
  expect(call).toThrow('Try again')
})

test('an outage that is a program in disguise is refused before it is written out', () => {
  const start = process.cpuUsage()
  for (let i = 0; i < 100; i++) expect(parseOutage(Array(35).fill('999x(ok 1m)').join(','))).toBeUndefined()
  const { user, system } = process.cpuUsage(start)
  expect(user + system).toBeLessThan(1_500_000)
  expect(parseOutage('30x(full 2m, ok 2m)')).toHaveLength(60)
})
