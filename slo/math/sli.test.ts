import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { ratioSlot, type Sample } from '../sources/counter.ts'
import type { Objective, Slot } from '../sources/index.ts'
import { increases } from '../test/samples-source.ts'
import { fires } from './burn-rate.ts'
import { reportText } from './report.ts'
import { bad, judge, tally, total } from './sli.ts'
import { standing, standingJson } from './standing.ts'

const [availability, latency] = readDirectory().objectives as [Objective, Objective]
const methods = fc.constantFrom(availability, latency)

const slots = fc
  .array(
    fc.record({ good: fc.nat(50), more: fc.nat(20) }).map(({ good, more }) => ({ good, total: good + more })),
    { minLength: 2, maxLength: 200 },
  )
  .map(counts => counts.map((count, start): Slot => ({ start, ...count, unknown: count.total === 0 })))

const samples = fc.array(
  fc.record({
    timeMs: fc.integer({ min: 0, max: 600_000 }),
    value: fc.oneof(
      { weight: 8, arbitrary: fc.nat(1000) },
      { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, -5) },
    ),
  }),
  { maxLength: 60 },
)
const sum = (counts: Float64Array): number => counts.reduce((all, each) => all + each, 0)
const ratio = (objective: Objective, of: readonly Slot[]): number | null => {
  const span = { from: 0, to: of.length, nominalMinutes: of.length }
  return standing(objective, tally(objective, 0, of), span).ratio
}

const textOf = (objective: Objective, slot: Slot, nominalMinutes: number): string => {
  const span = { from: 0, to: 1, nominalMinutes }
  const stand = standing({ ...objective, tiers: [] }, tally(objective, 0, [slot]), span)
  const judged = { standing: stand, burns: [], doubtful: 0, silentSince: undefined, endedAt: undefined }
  const planned = { minutes: 0, offline: 0 }
  return reportText({ span, objectives: [judged], unread: [], witnesses: null, planned })
}

test('a ratio below its target does not look like it, in JSON and in words', () => {
  const objective = { ...latency, target: { numerator: 999_999, denominator: 1_000_000 } }
  const slot = { start: 0, good: 9_999_980, total: 10_000_000, unknown: false }
  const span = { from: 0, to: 1, nominalMinutes: 1 }
  const stand = standing(objective, tally(objective, 0, [slot]), span)
  expect(standingJson(stand)).toMatchObject({ objective: 0.999999, ratio: 0.999998 })
  expect(textOf(objective, slot, 1)).toContain('99.9998 %, objective 99.9999 %')
})

test('a young objective whose ratio is below its target is called met so far while its budget lasts', () => {
  const offline = { start: 0, good: 0, total: 1, unknown: false }
  expect(textOf(availability, offline, 1440)).toContain(': met so far, the window is not full')
  expect(textOf(availability, { ...offline, good: 1 }, 1440)).toMatch(/: met$/m)
})

test('metrics that no other witness can be compared with are not called a disagreement', () => {
  const witnesses = { counts: { metrics: { kept: 1, broken: 0 }, logs: null }, agree: false, bound: 0 }
  const say = (disagreements: { witness: string; says: string; ids: string[] }[]) => {
    const given = { objectives: [], unread: [], planned: { minutes: 0, offline: 0 } }
    const span = { from: 0, to: 1, nominalMinutes: 1 }
    return reportText({ ...given, span, witnesses: { ...witnesses, disagreements } })
  }
  expect(say([])).toContain('metrics 1 kept, 0 broken · logs no data: only the metrics have data')
  expect(say([{ witness: 'metrics', says: 'count 1 kept', ids: [] }])).toContain(
    'they do not agree\n  metrics',
  )
})

describe('slots', () => {
  test('a slot is counted once, however the windows are cut', () => {
    fc.assert(
      fc.property(methods, slots, fc.nat(200), (objective, given, cut) => {
        const sums = tally(objective, 0, given)
        const at = Math.min(cut, given.length)
        expect(bad(sums, 0, at) + bad(sums, at, given.length)).toBe(bad(sums, 0, given.length))
        expect(total(sums, 0, at) + total(sums, at, given.length)).toBe(total(sums, 0, given.length))
      }),
    )
  })

  test('budget used in two half windows sums to the whole', () => {
    fc.assert(
      fc.property(methods, slots, (objective, given) => {
        const sums = tally(objective, 0, given)
        const used = (from: number, to: number) =>
          standing(objective, sums, { from, to, nominalMinutes: 1440 }).bad
        const half = Math.floor(given.length / 2)
        expect(used(0, half) + used(half, given.length)).toBe(used(0, given.length))
      }),
    )
  })

  test('adding a bad event never raises the ratio', () => {
    fc.assert(
      fc.property(methods, slots, fc.nat(199), (objective, given, at) => {
        const worse = given.map((slot, i) =>
          i === at % given.length ? { ...slot, total: slot.total + 1, unknown: false } : slot,
        )
        expect(ratio(objective, worse)).toBeLessThanOrEqual(ratio(objective, given) ?? 1)
      }),
    )
  })

  test('0 of 0 is no ratio, no burn and no broken promise', () => {
    const sums = tally(latency, 0, [{ start: 0, good: 0, total: 0, unknown: true }])
    const result = standing(latency, sums, { from: 0, to: 1, nominalMinutes: 1440 })
    expect(result).toMatchObject({ ratio: null, broken: false, budgetLeft: 0 })
    expect(latency.tiers.some(tier => fires(latency, tier, sums, 1))).toBe(false)
  })

  test('a minute without data is offline and unknown; more good than all is no data', () => {
    const slot = { start: 0, good: 0, total: 0, unknown: true }
    expect(judge(availability, slot)).toEqual({ start: 0, good: 0, total: 1, unknown: true })
    expect(judge(availability, { ...slot, good: 5, total: 4, unknown: false })).toMatchObject({
      good: 0,
      unknown: true,
    })
    expect(judge(latency, { ...slot, good: 5, total: 4, unknown: false })).toMatchObject({
      total: 0,
      unknown: true,
    })
  })

  test('exactly the hour is kept, a minute more is broken', () => {
    const day = (offline: number) =>
      Array.from(
        { length: 1440 },
        (_, start): Slot => ({ start, good: start < offline ? 3 : 4, total: 4, unknown: false }),
      )
    const of = (offline: number) =>
      standing(availability, tally(availability, 0, day(offline)), {
        from: 0,
        to: 1440,
        nominalMinutes: 1440,
      })
    expect(of(60)).toMatchObject({ broken: false, budgetLeft: 0 })
    expect(of(61)).toMatchObject({ broken: true, budgetLeft: -1 })
  })
})

describe('counters', () => {
  test('rounding errors of a counter of seconds make no minute bad or unknown', () => {
    const [more, less] = [0.1 + 0.2, 0.3]
    for (const [good, total] of [
      [more, less],
      [less, more],
    ])
      expect(judge(availability, ratioSlot('good', 0, good, total))).toMatchObject({
        good: 1,
        unknown: false,
      })
    expect(ratioSlot('bad', 0, more, less)).toMatchObject({ good: 0, total: 0.3 })
  })

  test('a reset never makes a negative, and no value that is none makes a count', () => {
    fc.assert(
      fc.property(samples, given => {
        for (const count of increases(given, 86_400, 0, 10)) expect(count).toBeGreaterThanOrEqual(0)
        expect(Number.isFinite(sum(increases(given, 86_400, 0, 10)))).toBe(true)
      }),
    )
  })

  test('a permutation of samples with the same times changes nothing, nor does a repeated one', () => {
    const permuted = samples.chain(given =>
      fc.tuple(
        fc.constant(given),
        fc.shuffledSubarray([...given, ...given], { minLength: 2 * given.length }),
      ),
    )
    fc.assert(
      fc.property(permuted, ([given, shuffled]) => {
        expect(increases(shuffled, 86_400, 0, 10)).toEqual(increases(given, 86_400, 0, 10))
      }),
    )
  })

  test('merging sources commutes: the sum of series does not depend on their order', () => {
    fc.assert(
      fc.property(samples, samples, (one, other) => {
        const both = (series: Sample[][]) =>
          series
            .map(each => increases(each, 86_400, 0, 10))
            .reduce((a, b) => a.map((count, i) => count + (b[i] ?? 0)))
        expect(both([one, other])).toEqual(both([other, one]))
      }),
    )
  })

  const at = (...pairs: [number, number][]): Sample[] =>
    pairs.map(([s, value]) => ({ timeMs: s * 1000, value }))

  test('a sample on the full minute counts in the minute before it', () => {
    expect([...increases(at([45, 0], [60, 1], [75, 3]), 120, 0, 2)]).toEqual([1, 2])
  })

  test('a first value counts nothing, a value after a restart counts from zero', () => {
    expect(sum(increases(at([15, 7]), 120, 0, 1))).toBe(0)
    expect(sum(increases(at([0, 7], [15, 9], [30, 2], [45, 5]), 120, 0, 1))).toBe(2 + 2 + 3)
  })

  test('growth over a gap longer than is allowed is not blamed on the minute after it', () => {
    expect(sum(increases(at([15, 1], [435, 9], [450, 10]), 120, 0, 10))).toBe(1)
    expect(sum(increases(at([15, 1], [435, 9], [450, 10]), 86_400, 0, 10))).toBe(9)
  })
})
