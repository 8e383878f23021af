import { Problem } from '@tintype/lib/http.ts'
import type { Stats } from '@tintype/lib/queue/index.ts'
import { expect, test } from 'vitest'
import { openAdmission, predictedSeconds } from './admission.ts'
import { uploadRate } from './rate.ts'

const idle: Stats = {
  depth: 0,
  lastEvent: 0,
  oldestSeconds: 0,
  claimed: 0,
  dead: 0,
  liveSlots: 2,
  serviceSeconds: 0.5,
  workerSeenSeconds: 1,
}
const admission = (stats: Partial<Stats> = {}) =>
  openAdmission({ stats: async () => ({ ...idle, ...stats }) }, 60)

const refusal = async (attempt: Promise<unknown>) => {
  const error = await attempt.catch(error => error)
  if (!(error instanceof Problem)) throw new Error('it was admitted')
  return [error.type, error.headers['Retry-After']]
}

test('the wait is predicted by what is ahead, its service time and the live slots', () => {
  expect(predictedSeconds(0, idle)).toBe(0.25)
  expect(predictedSeconds(99, idle)).toBe(25)
  expect(predictedSeconds(99, { ...idle, liveSlots: 0 })).toBe(50)
  expect(predictedSeconds(9, { ...idle, serviceSeconds: null })).toBe(5)
})

test('photos are taken up to half of the promise, and refused beyond it with when to come again', async () => {
  await admission({ depth: 119 }).admit()
  expect(await refusal(admission({ depth: 120 }).admit())).toEqual(['busy', '1'])
  expect(await refusal(admission({ depth: 140, claimed: 2 }).admit())).toEqual(['busy', '6'])
  expect(await refusal(admission({ depth: 9_000 }).admit())).toEqual(['busy', '60'])
})

test('uploads in flight and just enqueued count, also before the queue is asked again', async () => {
  const door = admission({ depth: 117 })
  const tickets = await Promise.all([door.admit(), door.admit(), door.admit()])
  expect(await refusal(door.admit())).toEqual(['busy', '1'])
  for (const ticket of tickets) ticket.done()
  expect(await refusal(door.admit())).toEqual(['busy', '1'])
})

test('without a converter nothing is taken; one just seen may be restarting', async () => {
  expect(await refusal(admission({ workerSeenSeconds: null }).admit())).toEqual(['no-converter', '10'])
  expect(await refusal(admission({ workerSeenSeconds: 31 }).admit())).toEqual(['no-converter', '10'])
  await admission({ workerSeenSeconds: 29, liveSlots: 0 }).admit()
})

test('a photo whose upload took long is refused when the promise cannot be kept any more', async () => {
  let now = 0
  let stats = idle
  const door = openAdmission({ stats: async () => stats }, 60, () => now)
  const ticket = await door.admit()
  stats = { ...idle, workerSeenSeconds: 40 }
  await ticket.confirm() // by statistics that are not yet old
  now += 251
  expect(await refusal(ticket.confirm())).toEqual(['no-converter', '10'])
})

test('uploads are limited a visitor, refilled evenly, and forgotten visitors start full', () => {
  let now = 0
  const check = uploadRate(60, () => now)
  for (let n = 0; n < 60; n++) check('a')
  expect(() => check('a')).toThrow(Problem)
  check('b')
  now += 1_000
  check('a')
  expect(() => check('a')).toThrow(/1 s/)
  for (let n = 0; n < 10_000; n++) check(`visitor ${n}`)
  check('a')
})
