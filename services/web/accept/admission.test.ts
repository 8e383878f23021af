import { Problem } from '@tintype/lib/http.ts'
import { limits } from '@tintype/lib/limits.ts'
import type { Stats } from '@tintype/lib/queue/index.ts'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { uploadRate } from '../visitors/visitor-limits.ts'
import { openAdmission, predictedSeconds } from './admission.ts'

beforeAll(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterAll(() => void vi.useRealTimers())

const idle: Stats = {
  depth: 0,
  lastEvent: 0,
  oldestSeconds: 0,
  claimed: 0,
  dead: 0,
  liveSlots: 2,
  serviceSeconds: 0.5,
}
const admission = (stats: Partial<Stats> = {}) =>
  openAdmission({ stats: async () => ({ ...idle, ...stats }) }, 60)

const refusal = async (attempt: Promise<unknown>) => {
  const error = await attempt.catch(error => error)
  if (!(error instanceof Problem)) throw new Error('it was admitted')
  return [error.type, error.more.headers?.['Retry-After']]
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

test('a photo that nothing is ahead of is taken, however slow the last ones were: the next measurement needs it', async () => {
  await (await admission({ serviceSeconds: 400 }).admit()).confirm()
  expect(await refusal(admission({ serviceSeconds: 400, claimed: 1 }).admit())).toEqual(['busy', '60'])
})

test('received uploads and those just enqueued count, also before the queue is asked again', async () => {
  let stats = idle
  const door = openAdmission({ stats: async () => stats }, 60)
  const tickets = []
  for (let n = 0; n < 100; n++) tickets.push(await door.admit()) // their bodies may never come
  stats = { ...idle, depth: 153 }
  vi.advanceTimersByTime(251)
  const [last, ...received] = tickets.slice(0, 4) as [(typeof tickets)[0], ...typeof tickets]
  await Promise.all(received.map(ticket => ticket.confirm()))
  expect(await refusal(last.confirm())).toEqual(['busy', '1'])
  for (const ticket of received) ticket.done()
  expect(await refusal(last.confirm())).toEqual(['busy', '1'])
})

test('an upload that ends before it was received was never work', async () => {
  const door = admission({ depth: 119 })
  for (let n = 0; n < 10; n++) (await door.admit()).done()
  await door.admit()
})

test('without a slot announced within 10 s nothing is taken', async () => {
  expect(await refusal(admission({ liveSlots: 0 }).admit())).toEqual(['no-converter', '10'])
  expect(await refusal(admission({ liveSlots: 0, depth: 9_000 }).admit())).toEqual(['no-converter', '10'])
})

test('a photo whose upload took long is refused when the promise cannot be kept any more', async () => {
  let stats = idle
  const door = openAdmission({ stats: async () => stats }, 60)
  const ticket = await door.admit()
  stats = { ...idle, liveSlots: 0 }
  await ticket.confirm() // by statistics that are not yet old
  vi.advanceTimersByTime(251)
  expect(await refusal(ticket.confirm())).toEqual(['no-converter', '10'])
})

describe('the rate of uploads', () => {
  const someone = (owner: string, returning = true) => ({ owner, returning }) as never

  test('is limited a visitor, refilled evenly, and forgotten visitors start full', () => {
    const check = uploadRate(60)
    const a = () => check(someone('a'), 'here')
    for (let n = 0; n < 60; n++) a()
    expect(a).toThrow(Problem)
    check(someone('b'), 'here')
    vi.advanceTimersByTime(500)
    expect(a).toThrow(/1 s/)
    vi.advanceTimersByTime(500)
    a() // a refusal costs nothing
    expect(a).toThrow(/1 s/)
    for (let n = 0; n < limits.remembered.value; n++) check(someone(`visitor ${n}`), `address ${n}`)
    a()
  })

  test('holds against a new cookie for each upload, and against none', () => {
    const check = uploadRate(10)
    for (let n = 0; n < 10; n++) check(someone(`none ${n}`, false), 'one')
    expect(() => check(someone('none', false), 'one')).toThrow(/More than 10 photos/)
    for (let n = 0; n < 10 * limits.addressRate.value - 10; n++) check(someone(`new ${n}`), 'one')
    expect(() => check(someone('another'), 'one')).toThrow(/from one address/)
    check(someone('another'), 'two')
  })

  test('one session cannot use up what its address has for others', () => {
    const check = uploadRate(10)
    for (let n = 0; n < 10; n++) check(someone('busy'), 'one')
    for (let n = 0; n < 100; n++) expect(() => check(someone('busy'), 'one')).toThrow(Problem)
    check(someone('other'), 'one')
  })
})
