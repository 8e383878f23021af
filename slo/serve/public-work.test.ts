import { Problem } from '@tintype/lib/http.ts'
import type { Request, Response } from 'express'
import { expect, test } from 'vitest'
import { lowerLimit } from '../../test/support.ts'
import { outageFormat, parseOutage } from '../math/outage.ts'
import { createPublicWork } from './public-work.ts'

/** A handler's request that takes so long on a clock of its own. */
function working(tookMs: number, fails = false) {
  const clock = { now: 0, computed: 0 }
  const handler = createPublicWork(() => clock.now)(async () => {
    clock.now += tookMs
    clock.computed += tookMs
    if (fails) throw new Problem(400, 'bad', 'bad')
  })
  return { clock, call: async () => handler({} as Request, {} as Response, () => {}) }
}

test('what the public port computes gets a tenth of the time; then it is refused with Retry-After', async () => {
  const { clock, call } = working(200)
  let refused = 0
  let last: unknown
  while (clock.now < 120_000)
    await call().catch(error => {
      last = error
      refused++
      clock.now += 100
    })
  expect(last).toMatchObject({
    status: 503,
    more: { limit: 'publicWork', headers: { 'Retry-After': '6' } },
  })
  expect(refused).toBeGreaterThan(500)
  expect(clock.computed / clock.now).toBeLessThan(0.13)
  clock.now += 60_000
  await call()
})

test('a handler that fails is charged, too', async () => {
  const { call } = working(5_000, true)
  await expect(call()).rejects.toThrow('bad')
  // 2 s too much are 20 s of the share.
  await expect(call()).rejects.toThrow('Try again in 20 s')
})

test('while an answer is computed, however long it takes, other work of the process goes on in its pauses', async () => {
  let now = 0
  const done: string[] = []
  const bounded = createPublicWork(() => now)
  const ask = (name: string) =>
    bounded(async (_request, _response, pause) => {
      for (const objective of [1, 2]) {
        done.push(`${name}${objective}`)
        now += 400
        await pause()
      }
    })({} as Request, {} as Response, () => {})
  setImmediate(() => done.push('evaluation'))
  await Promise.all([ask('a'), ask('b')])
  expect(done).toEqual(['a1', 'evaluation', 'a2', 'b1', 'b2'])
  // A pause costs nothing of the share, what is computed between pauses all of it.
  for (const name of 'cde') await ask(name)
  await expect(async () => ask('f')).rejects.toThrow('Try again')
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
  // A description of the right form may be refused for its length only, which the message has to say.
  expect([parseOutage('full 14d')?.length, parseOutage('full 14d, ok 1m')]).toEqual([1, undefined])
  expect(outageFormat).toContain('14d together')
})
