import { describe, expect, test } from 'vitest'
import { readObjectives } from '../objectives/objectives.ts'
import type { Objective, Slot } from '../sources/index.ts'
import { fits } from './budget.ts'
import { tally } from './sli.ts'

const availability = readObjectives()[0] as Objective

/** A day that ends at minute 1440, offline in its first so many minutes. */
const day = (offline: number) =>
  tally(
    availability,
    0,
    Array.from(
      { length: 1440 },
      (_, start): Slot => ({ start, good: start < offline ? 0 : 4, total: 4, unknown: false }),
    ),
  )

describe('a maintenance', () => {
  test('fits when nothing was lost', () => {
    expect(fits(availability, day(0), [], { from: 1500, minutes: 45 })).toMatchObject({
      fits: true,
      leftAfter: 15,
    })
  })

  test('of exactly the budget fits, a minute more does not', () => {
    expect(fits(availability, day(0), [], { from: 1500, minutes: 60 }).fits).toBe(true)
    expect(fits(availability, day(0), [], { from: 1500, minutes: 61 })).toMatchObject({
      fits: false,
      earliest: null,
    })
  })

  test('does not fit beside what is lost, and fits as soon as that has left the window', () => {
    const fit = fits(availability, day(30), [], { from: 1440, minutes: 45 })
    // From 0 to 29 was offline; at its end, 15 of those must be older than a day.
    expect(fit).toMatchObject({ fits: true, leftAfter: 15 })
    expect(fits(availability, day(100), [], { from: 1440, minutes: 45 })).toMatchObject({
      fits: false,
      leftAfter: -40,
      earliest: 1480,
    })
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
})
