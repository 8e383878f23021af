import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { tally } from '../math/sli.ts'
import { standing } from '../math/standing.ts'
import { windowAt } from '../math/window.ts'
import { viewOf } from '../serve/view.ts'
import type { Objective, Slot } from '../sources/index.ts'
import { alertsOf, budgetLine } from './text.ts'

const availability = readDirectory().objectives.find(({ name }) => name === 'availability') as Objective
const orders: Objective = {
  ...availability,
  method: 'Occurrences',
  unit: 'orders',
  displayName: 'Orders in time',
}
const at = 29_454_240

/** The day before `at`, of which the last minutes were bad. */
const day = (badMinutes: number): Slot[] =>
  Array.from({ length: 1440 }, (_, i) => {
    const start = at - 1440 + i
    return { start, good: start >= at - badMinutes ? 0 : 1, total: 1, unknown: false }
  })
const line = (objective: Objective, badMinutes: number) =>
  budgetLine(standing(objective, tally(objective, at - 1440, day(badMinutes)), windowAt(objective, at)))
const firstAlert = (objective: Objective, badMinutes: number) => {
  const slots = day(badMinutes)
  const known = { objective, slots, tally: tally(objective, at - 1440, slots), begun: at - 1440 }
  return alertsOf(viewOf(known, at - 1440, at))[0]
}

test('what was lost is said also beyond the budget, in the objective’s own unit', () => {
  expect(line(availability, 25)).toBe('Online 23 of every 24 hours: 35 of 60 minutes left, 25 used')
  expect(line(availability, 75)).toBe(
    'Online 23 of every 24 hours: 0 of 60 minutes left, 75 used: 15 beyond the budget',
  )
  expect(line(orders, 61)).toBe('Orders in time: 0 of 60 bad orders left, 61 used: 1 beyond the budget')
  const tenths = day(30).map(slot => ({ ...slot, good: slot.good / 10, total: 0.1 }))
  const seconds = standing(orders, tally(orders, at - 1440, tenths), windowAt(orders, at))
  expect(budgetLine(seconds)).toBe('Orders in time: 3 of 6 bad orders left, 3 used')
  // As in the alert, of 6.5 seconds 6.4 are not more than the budget.
  const nearly = { ...seconds, budget: 6.5, bad: 6.4, budgetLeft: 0.1 }
  expect(budgetLine(nearly)).toBe('Orders in time: 0 of 6 bad orders left, 7 used')
})

test('of a service so young that its budget is no whole event nothing is said to be left of nothing', () => {
  const young = { ...orders, windowMinutes: 10 }
  expect(budgetLine(standing(young, tally(young, at - 10, day(0).slice(-10)), windowAt(young, at)))).toBe(
    'Orders in time: 10 orders counted, none bad',
  )
})

test('a time that is a day or more away has its date', () => {
  const month = { ...availability, windowMinutes: 30 * 1440 }
  const slots = Array.from({ length: 30 * 1440 }, (_, i) => {
    const start = at - 30 * 1440 + i
    const isBad = start >= at - 3 * 1440 && (at - start) % 4 === 1
    return { start, good: isBad ? 0 : 1, total: 1, unknown: false }
  })
  const known = { objective: month, slots, tally: tally(month, at - 30 * 1440, slots), begun: undefined }
  const text = alertsOf(viewOf(known, at - 30 * 1440, at))[0]?.text
  expect(text).toMatch(/since \d\d-\d\d \d\d:\d\d UTC/)
})

test('an alert has the labels of the rules’ alerts, by which receivers route', () => {
  const group = { ...availability, groupBy: 'city', group: 'Kyiv' }
  expect(firstAlert(group, 20)?.labels).toEqual({
    alertname: 'AvailabilityBudgetBurn',
    service: 'tintype',
    objective: 'availability',
    tier: 'page-fast',
    city: 'Kyiv',
  })
})

test('an alert says what is left, or how much was lost beyond it', () => {
  expect(firstAlert(availability, 20)?.text).toMatch(
    /40 of 60 minutes of the budget left, gone at \d\d:\d\d UTC at the rate of the last 15m\.$/,
  )
  // All of the last 15 minutes were bad.
  const [, hours, minutes] = /gone at (\d\d):(\d\d)/.exec(firstAlert(availability, 20)?.text ?? '') ?? []
  expect(Number(hours) * 60 + Number(minutes)).toBe((at + 40) % 1440)
  expect(firstAlert(availability, 75)?.text).toMatch(
    /The budget of 60 minutes is used up, and 15 beyond it\.$/,
  )
  expect(firstAlert(availability, 60)?.text).toMatch(/The budget of 60 minutes is used up\.$/)
})

test('the budget of a calendar window is gone only before its end, and that of events grows with them', () => {
  const from = at - 480
  const calendar = { count: 1, unit: 'd', startTime: '2026-01-01 00:00:00', timeZone: 'UTC' } as const
  const goneAfter = (objective: Objective, bad: (minute: number) => number, total: number) => {
    const slots = Array.from({ length: 480 }, (_, i) => {
      return { start: from + i, good: total - bad(480 - i), total, unknown: false }
    })
    const known = { objective, slots, tally: tally(objective, from, slots), begun: from }
    const goneAt = viewOf(known, from, at).goneAtRateOf(60)
    return goneAt && goneAt - at
  }
  const target = { numerator: 99, denominator: 100 }
  const month = { ...orders, target, calendar: { ...calendar, unit: 'M' as const } }
  expect(goneAfter(month, () => 0.5, 100)).toBeNull()
  expect(goneAfter(month, ago => (ago > 100 ? 0 : 2), 100)).toBe(280)
  const slices = { ...availability, calendar, target: { numerator: 95, denominator: 100 } }
  expect(goneAfter(slices, ago => (ago > 3 ? 0 : 1), 1)).toBeNull()
  expect(goneAfter(slices, ago => (ago > 6 ? 0 : 1), 1)).toBe(660)
})
