import { describe, expect, test } from 'vitest'
import type { Calendar } from '../sources/index.ts'
import { parseTime } from './time.ts'
import { isStartTime, isTimeZone, longestWindowMinutes, nominalMinutes, windowAt } from './window.ts'

const minute = (iso: string) => Date.parse(`${iso}Z`) / 60_000
const objective = (calendar: Calendar) => ({ windowMinutes: nominalMinutes(calendar), calendar })
const berlin = (unit: Calendar['unit'], startTime = '2026-01-01 00:00:00', count = 1) =>
  objective({ unit, count, startTime, timeZone: 'Europe/Berlin' })

describe('the window', () => {
  test('that rolls ends where it is looked at', () => {
    expect(windowAt({ windowMinutes: 60, calendar: null }, 1000)).toEqual({
      from: 940,
      to: 1000,
      nominalMinutes: 60,
    })
  })

  test.each([
    ['a day', berlin('d'), '2026-07-10T12:00', '2026-07-09T22:00', 1440],
    ['the last minute of a day', berlin('d'), '2026-07-09T22:00', '2026-07-08T22:00', 1440],
    ['the first minute of a day', berlin('d'), '2026-07-09T22:01', '2026-07-09T22:00', 1440],
    ['a day of which the clocks take an hour', berlin('d'), '2026-03-29T12:00', '2026-03-28T23:00', 1380],
    ['a day to which they give one', berlin('d'), '2026-10-25T12:00', '2026-10-24T22:00', 1500],
    ['a week from Monday', berlin('w', '2026-01-05'), '2026-01-18T12:00', '2026-01-11T23:00', 10_080],
    ['February', berlin('M'), '2026-02-10T00:00', '2026-01-31T23:00', 28 * 1440],
    ['March, with its change of clocks', berlin('M'), '2026-03-10T00:00', '2026-02-28T23:00', 31 * 1440 - 60],
    [
      'months from the 31st',
      berlin('M', '2026-01-31 00:00:00'),
      '2026-03-05T00:00',
      '2026-02-27T23:00',
      31 * 1440 - 60,
    ],
    ['a window before the first', berlin('M'), '2025-12-10T00:00', '2025-11-30T23:00', 31 * 1440],
    ['two weeks', berlin('w', '2026-01-05 08:30:00', 2), '2026-01-20T12:00', '2026-01-19T07:30', 20_160],
  ])('of the calendar: %s', (_, each, at, from, minutes) => {
    expect(windowAt(each, minute(at))).toMatchObject({ from: minute(from), nominalMinutes: minutes })
    expect(longestWindowMinutes(each)).toBeGreaterThanOrEqual(minutes)
  })
})

test('times and time zones that are none are known', () => {
  const times = ['2026-01-31', '2026-01-31 12:30', '2026-01-31 12:30:00', '2026-01-31T12:30:00']
  expect(times.filter(isStartTime)).toEqual(times)
  expect(['today', 7].map(isStartTime)).toEqual([false, false])
  expect(() => isStartTime('2026-02-30 00:00:00')).toThrow(RangeError)
  expect(['UTC', 'America/New_York'].map(isTimeZone)).toEqual([true, true])
  expect(() => isTimeZone('Mars/Base')).toThrow(RangeError)
})

test('a time is read with its zone or as UTC, with a space before the clock, or where its plus sign was', () => {
  const times = ['2026-01-31T12:30+01:00', '2026-01-31T12:30 01:00', '2026-01-31 12:30:00 UTC']
  const noon = Date.parse('2026-01-31T11:30:00Z')
  expect(parseTime(`${noon}`, 0)).toBe(noon)
  expect(times.map(text => parseTime(text, noon))).toEqual([noon, noon, noon + 3_600_000])
  const days = ['yesterday 12:30', 'today 9:30', 'tomorrow', 'today', '2026-01-31 9:30']
  const hours = [-23, -2, 12.5, -11.5, -2]
  expect(days.map(text => parseTime(text, noon))).toEqual(hours.map(each => noon + each * 3_600_000))
  expect(['yesterday 25:00', 'today14:05', 'someday 14:05'].map(text => parseTime(text, noon))).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})
