import { describe, expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import type { Objective, TierName } from '../sources/index.ts'
import { backtest } from './backtest.ts'
import { isBurning, planTiers, tiers } from './burn-rate.ts'
import { fraction, fromDecimal } from './fraction.ts'
import { outageTally, parseOutage } from './outage.ts'
import { tally } from './sli.ts'

const objectives = readDirectory().objectives
const objective = (name: string) => objectives.find(each => each.name === name) as Objective

/** Minutes after the beginning at which each tier fires and clears. */
function times(name: string, outage: string): Partial<Record<TierName, number[]>> {
  const tally = outageTally(objective(name), parseOutage(outage) ?? [], 0)
  return Object.fromEntries(
    backtest(objective(name), tally, 0, tally.to)
      .filter(({ firings }) => firings.length > 0)
      .map(({ tier, firings }) => [tier, firings.flatMap(({ fires, clears }) => [fires, clears ?? NaN])]),
  )
}

const firstFires = (name: string, outage: string): (number | undefined)[] => {
  const all = times(name, outage)
  return planTiers(1440).map(({ name: tier }) => all[tier]?.[0])
}

describe('the tiers of one day', () => {
  test('follow from shares of the budget', () => {
    const shown = objective('availability').tiers.map(
      ({ name, longMinutes, shortMinutes, factor }) => `${name} ${longMinutes}m/${shortMinutes}m ${factor}`,
    )
    expect(shown).toEqual([
      'page-fast 15m/2m 9.6',
      'page-slow 60m/5m 4.8',
      'ticket-fast 180m/15m 2.4',
      'ticket-slow 360m/30m 1.2',
    ])
  })

  const never = undefined
  test.each([
    ['availability', '100%', [6, 12, 18, 18]],
    ['availability', '50%', [12, 24, 36, 36]],
    ['availability', '25%', [never, 48, 72, 72]],
    ['availability', '12%', [never, never, 150, 150]],
    ['availability', '6%', [never, never, never, 300]],
    ['latency', '100%', [2, 3, 5, 5]],
    ['latency', '50%', [3, 6, 9, 9]],
    ['latency', '25%', [6, 12, 18, 18]],
    ['latency', '12%', [12, 24, 36, 36]],
    ['latency', '6%', [never, 48, 72, 72]],
  ])('%s at %s bad fires after the minutes of the design', (name, share, expected) => {
    expect(firstFires(name, `${share} 8h`)).toEqual(expected)
  })

  test('a 3-minute outage is silent', () => {
    expect(times('availability', 'full 3m')).toEqual({})
  })

  test('10 minutes fire page-fast alone, which clears its short window after its condition ended', () => {
    expect(times('availability', 'full 10m')).toEqual({ 'page-fast': [6, 14] })
    expect(times('latency', 'full 10m')).toEqual({})
  })

  test('2 minutes up, 2 down is one page', () => {
    expect(times('availability', '30x(full 2m, ok 2m)')['page-fast']).toHaveLength(2)
  })
})

describe('the tiers of any window', () => {
  test.each([60, 90, 360, 1440, 10_080, 43_200, 129_600])(
    'are reachable and in order for %i minutes',
    windowMinutes => {
      const derived = tiers({
        method: 'Occurrences',
        target: fraction(99, 100),
        windowMinutes,
        minimumBad: { page: 1, ticket: 1 },
      })
      expect(derived.some(({ severity }) => severity === 'page')).toBe(true)
      for (const [i, { longMinutes, shortMinutes, threshold, factor }] of derived.entries()) {
        expect(shortMinutes).toBeGreaterThanOrEqual(2)
        expect(shortMinutes).toBeLessThan(longMinutes)
        expect(longMinutes).toBeLessThan(windowMinutes)
        expect(longMinutes).toBeGreaterThan(derived[i - 1]?.longMinutes ?? 0)
        expect(threshold.numerator).toBeLessThan(threshold.denominator)
        expect(factor).toBeGreaterThanOrEqual(1)
        expect(shortMinutes).toBeLessThanOrEqual(30)
      }
    },
  )
})

test('28 and 30 days have the factors of the SRE workbook', () => {
  for (const days of [28, 30]) {
    const plans = planTiers(days * 1440)
    const derived = tiers({
      method: 'Occurrences',
      target: fraction(999, 1000),
      windowMinutes: days * 1440,
      minimumBad: { page: 1, ticket: 1 },
    })
    expect(plans).toHaveLength(4)
    expect(derived.map(({ factor }) => Math.round(factor * 10) / 10)).toEqual([14.4, 6, 3, 1])
  }
  expect(planTiers(30 * 1440).map(({ longMinutes }) => longMinutes)).toEqual([60, 360, 1440, 4320])
})

test('a decimal target is the fraction that was meant', () => {
  expect(fromDecimal(0.9583333333333334)).toEqual(fraction(23, 24))
  expect(fromDecimal(0.99)).toEqual(fraction(99, 100))
  expect(fromDecimal(0.9583)).toEqual(fraction(9583, 10_000))
  expect(fromDecimal(0.99999)).toEqual(fraction(99_999, 100_000))
  // One minute of 30 days, as lint writes it.
  expect(fromDecimal(0.9999768518518518)).toEqual(fraction(43_199, 43_200))
  expect(fromDecimal(0.999995)).toEqual(fraction(199_999, 200_000))
  for (const bad of [7_901, 61_981]) // of 90 days
    expect(fromDecimal((129_600 - bad) / 129_600)).toEqual(fraction(129_600 - bad, 129_600))
  expect([0.9583333333, 0.9666666667].map(fromDecimal)).toEqual([fraction(23, 24), fraction(29, 30)])
})

test('a budget burns from exactly the factor on: 18 of 30 minutes are 6 times what 90 % allows', () => {
  const planning = { method: 'Timeslices', target: fraction(9, 10), windowMinutes: 30 * 1440 } as const
  const month = { ...objective('availability'), ...planning, minimumBad: { page: 1, ticket: 1 } }
  const pageSlow = tiers(month).filter(({ name }) => name === 'page-slow')
  const burnsWith = (badMinutes: number) => {
    const slots = Array.from({ length: 30 }, (_, start) => {
      return { start, good: start < badMinutes ? 0 : 1, total: 1, unknown: false }
    })
    return isBurning({ objective: { ...month, tiers: pageSlow }, tally: tally(month, 0, slots) }, 30)
  }
  expect([17, 18].map(burnsWith)).toEqual([false, true])
})
