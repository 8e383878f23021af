import type { Request, Response } from 'express'
import { expect, test } from 'vitest'
import { lowerLimit } from '../../test/support.ts'
import { parseOutage } from '../math/outage.ts'
import { createPublicWork } from './public-work.ts'

test('while an answer is computed other work of the process goes on in its pauses', async () => {
  const done: string[] = []
  const bounded = createPublicWork()
  const ask = (name: string) =>
    bounded(async (_request, _response, pause) => {
      for (const objective of [1, 2]) {
        done.push(`${name}${objective}`)
        await pause()
      }
    })({} as Request, {} as Response, () => {})
  setImmediate(() => done.push('evaluation'))
  await Promise.all([ask('a'), ask('b')])
  expect(done).toEqual(['a1', 'evaluation', 'a2', 'b1', 'b2'])
})

test('while one request is computed, a request beyond those that may wait is refused at once', async () => {
  lowerLimit('publicWaits', 1)
  const bounded = createPublicWork()
  const ends: (() => void)[] = []
  const ask = async () =>
    bounded(() => new Promise(resolve => ends.push(resolve)))({} as Request, {} as Response, () => {})
  const [computed, waits] = [ask(), ask()]
  await expect(ask()).rejects.toMatchObject({ status: 503, more: { limit: 'publicWaits' } })
  ends.shift()?.()
  await computed
  ends.shift()?.()
  await waits
})

test('an outage that is a program in disguise is refused before it is written out', () => {
  const start = process.cpuUsage()
  for (let i = 0; i < 100; i++) expect(parseOutage(Array(35).fill('999x(ok 1m)').join(','))).toBeUndefined()
  const { user, system } = process.cpuUsage(start)
  expect(user + system).toBeLessThan(1_500_000)
  expect(parseOutage('30x(full 2m, ok 2m)')).toHaveLength(60)
})
