import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import type { Objective, Slot } from '../sources/index.ts'
import { fits, tightestFit } from './budget.ts'
import { fraction } from './fraction.ts'
import { tally } from './sli.ts'

const availability = readDirectory().objectives[0] as Objective

/** A day that ends at minute 1440, offline in its first so many minutes, or from another one on. */
const day = (offline: number, from = 0) =>
  tally(
    availability,
    0,
    Array.from({ length: 1440 }, (_, start): Slot => {
      const isOffline = start >= from && start < from + offline
      return { start, good: isOffline ? 0 : 4, total: 4, unknown: false }
    }),
  )

describe('a maintenance', () => {
  test('fits when nothing was lost', () => {
    expect(fits(availability, day(0), [], { from: 1500, minutes: 45 })).toMatchObject({
      fits: true,
      leftAfter: 15,
    })
  })

  test('fits when it fits into the budget of each objective; other work may run after each objective', async () => {
    const counted = [0, 58, 10].map(offline => ({ objective: availability, tally: day(offline) }))
    const maintenance = { from: 1440, minutes: 58 }
    expect(await tightestFit(counted.slice(0, 1), [], maintenance)).toMatchObject({
      fits: true,
      leftAfter: 2,
    })
    let pauses = 0
    const tightest = await tightestFit(counted, [], maintenance, async () => pauses++)
    expect(tightest).toEqual(fits(availability, day(58), [], maintenance))
    expect(pauses).toBe(3)
  })

  test('of exactly the budget fits, a minute more does not', () => {
    expect(fits(availability, day(0), [], { from: 1500, minutes: 60 }).fits).toBe(true)
    expect(fits(availability, day(0), [], { from: 1500, minutes: 61 }).fits).toBe(false)
    // As a double, 360 × (13 ÷ 360) is less than 13.
    const six = { ...availability, windowMinutes: 360, target: fraction(347, 360) }
    expect(fits(six, day(0), [], { from: 1500, minutes: 13 })).toMatchObject({ fits: true, leftAfter: 0 })
  })

  test('does not fit beside what is lost, and fits once that has left the window', () => {
    const fit = fits(availability, day(30), [], { from: 1440, minutes: 45 })
    // From 0 to 29 was offline; at its end, 15 of those must be older than a day.
    expect(fit).toMatchObject({ fits: true, leftAfter: 15 })
    expect(fits(availability, day(100), [], { from: 1440, minutes: 45 })).toMatchObject({
      fits: false,
      leftAfter: -40,
    })
    expect(fits(availability, day(100), [], { from: 1479, minutes: 45 }).fits).toBe(false)
    expect(fits(availability, day(100), [], { from: 1480, minutes: 45 }).fits).toBe(true)
  })

  test('counts what others have announced before it, each minute once', () => {
    const planned = [
      { id: '1', from: 1450, to: 1480, reason: 'disk' },
      { id: '2', from: 1460, to: 1480, reason: 'kernel' },
    ]
    expect(fits(availability, day(0), planned, { from: 1500, minutes: 30 })).toMatchObject({
      fits: true,
      leftAfter: 0,
    })
    expect(fits(availability, day(0), planned, { from: 1500, minutes: 31 }).fits).toBe(false)
  })

  test('counts what is announced after it: the two would be in one window', () => {
    const planned = [{ id: '1', from: 2000, to: 2050, reason: 'move' }]
    expect(fits(availability, day(0), planned, { from: 1500, minutes: 10 })).toMatchObject({
      fits: true,
      leftAfter: 0,
    })
    expect(fits(availability, day(0), planned, { from: 1500, minutes: 11 })).toMatchObject({
      fits: false,
      leftAfter: -1,
    })
    // One of its minutes is among the announced ones.
    expect(fits(availability, day(0), planned, { from: 1990, minutes: 11 }).fits).toBe(true)
    // Inside of what is announced already it costs nothing more.
    expect(fits(availability, day(0), planned, { from: 2010, minutes: 30 })).toMatchObject({ leftAfter: 10 })
  })

  test('answers as counting each minute by hand does', () => {
    const window = 40
    const objective = { ...availability, windowMinutes: window, target: { numerator: 3, denominator: 4 } }
    const random = fc.record({
      offline: fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
      planned: fc.array(
        fc.record({ from: fc.integer({ min: 40, max: 140 }), length: fc.integer({ min: 1, max: 9 }) }),
        {
          maxLength: 4,
        },
      ),
      from: fc.integer({ min: 60, max: 80 }),
      minutes: fc.integer({ min: 1, max: 12 }),
    })
    fc.assert(
      fc.property(random, ({ offline, planned, from, minutes }) => {
        const slots = offline.map(
          (off, start): Slot => ({ start, good: off ? 0 : 1, total: 1, unknown: false }),
        )
        const announced = planned.map(({ from, length }) => ({ id: '', from, to: from + length, reason: '' }))
        const left = (start: number): number => {
          const isOffline = (minute: number) =>
            offline[minute] ||
            (minute >= start && minute < start + minutes) ||
            (minute >= 60 && announced.some(each => minute >= each.from && minute < each.to))
          const lost = (end: number) =>
            Array.from({ length: window }, (_, i) => end - 1 - i).filter(isOffline).length
          const ends = Array.from({ length: window - minutes + 1 }, (_, i) => start + minutes + i)
          return 10 - Math.max(...ends.map(lost))
        }
        expect(fits(objective, tally(objective, 0, slots), announced, { from, minutes })).toEqual({
          fits: left(from) >= 0,
          leftAfter: left(from),
          budgetMinutes: 10,
        })
      }),
    )
  })

  test('of a calendar window counts to its end, and what is after it is in the next one’s budget', () => {
    const calendar = { count: 1, unit: 'd', startTime: '1970-01-01 00:00:00', timeZone: 'UTC' } as const
    const daily = { ...availability, calendar }
    const planned = [{ id: '1', from: 2880, to: 2920, reason: 'move' }]
    // Minute 2880 is the midnight after: 30 minutes before it, and 30 beside the announced 40.
    expect(fits(daily, day(0), planned, { from: 2850, minutes: 30 })).toMatchObject({
      fits: true,
      leftAfter: 30,
    })
    expect(fits(daily, day(0), planned, { from: 2850, minutes: 80 })).toMatchObject({
      fits: true,
      leftAfter: 10,
    })
    expect(fits(daily, day(0), planned, { from: 2850, minutes: 91 })).toMatchObject({
      fits: false,
      leftAfter: -1,
    })
    expect(fits(daily, day(0), [], { from: 2819, minutes: 71 }).fits).toBe(false)
    expect(fits(daily, day(0), [], { from: 2820, minutes: 71 }).fits).toBe(true)
  })
})
