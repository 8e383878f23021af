import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { foldersIn, publish } from './daily.ts'
import { line, session, stamped, writeJournal } from './fixture.ts'
import { forecast, sizing } from './sizing.ts'

/** The disk filled day by day, by hand. */
function fullAfter(freeBytes: number, daily: (day: number) => number): number {
  let used = 0
  for (let day = 1; ; day++) {
    used += daily(day)
    if (used >= freeBytes) return day
  }
}

test('steady days fill the disk when a division says so, with no interval', () => {
  const { growthPerDay, daysUntilFull } = forecast([100, 100, 100, 100], 1_000)
  expect(growthPerDay).toEqual({ low: 0, likely: 0, high: 0 })
  expect(daysUntilFull).toEqual({ low: 10, likely: 10, high: 10 })
})

test('growing days fill it sooner, as filling it day by day shows', () => {
  const { bytesPerDay, daysUntilFull } = forecast([100, 110, 120, 130], 10_000)
  expect(bytesPerDay).toBe(130)
  expect(daysUntilFull.likely).toBe(fullAfter(10_000, day => 130 + 10 * day))
})

test('one odd day moves the interval, not the forecast', () => {
  const { growthPerDay, daysUntilFull } = forecast([100, 100, 100, 900, 100, 100, 100], 5_000)
  expect(growthPerDay.likely).toBe(0)
  expect(daysUntilFull.likely).toBe(50)
  expect(daysUntilFull.low).toBeLessThan(50)
})

test('shrinking logs never fill the disk, and no day gives no forecast', () => {
  expect(forecast([400, 300, 200, 100], 1_000_000).daysUntilFull.likely).toBeNull()
  expect(forecast([], 1_000).daysUntilFull).toEqual({ low: null, likely: null, high: null })
})

test('a day’s size is counted by service, event and session, as its lines are', async () => {
  const folders = foldersIn(await temporaryFolder())
  const day = '2026-11-20'
  const at = `${day}T12:00:00.000Z`
  const other = 'fedcba9876543210'
  let bytes = 0
  const write = (stream: string, n: number, who: string | null, event: string) => {
    const text = stamped(line(stream, n, at, { session: who, payload: { event } }), at)
    bytes += Buffer.byteLength(text)
    writeJournal(folders.streams, day, stream, text)
    return Buffer.byteLength(text)
  }
  let [ofOther, ofWeb] = [0, 0]
  for (let n = 1; n <= 10; n++) ofWeb += write('web.0.17', n, session, 'photo.accepted')
  for (let n = 1; n <= 30; n++) ofOther += write('converter.0.17', n, other, 'photo.ready')
  write('converter.0.17', 31, null, 'converter.started')
  await publish(folders, day)
  const { days, fullDays, compressionRatio } = sizing(folders, '2026-11-21')
  expect(fullDays).toBe(1)
  expect(days[0]).toMatchObject({ entries: 41, bytes })
  expect(days[0]?.services.web).toEqual({ entries: 10, bytes: ofWeb })
  expect(days[0]?.services.converter?.entries).toBe(31)
  expect(days[0]?.events['photo.ready']).toEqual({ entries: 30, bytes: ofOther })
  expect(days[0]?.sessions).toMatchObject({ count: 2, p99: ofOther, sampled: 1 })
  expect(days[0]?.sessions.largest).toEqual([
    { session: other, entries: 30, bytes: ofOther },
    { session, entries: 10, bytes: ofWeb },
  ])
  expect(compressionRatio).toBeGreaterThan(5)
})
