import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { smallDisk, temporaryFolder } from '../../test/support.ts'
import { dayFile, publish } from './daily.ts'
import { foldersIn } from './files.ts'
import { line, session, stamped, writeJournal } from './fixture.ts'
import { forecast, sampleDisk, sizing } from './sizing.ts'

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

test('logs that are removed by age fill the disk only when it has no room for the days that are kept', () => {
  const full = (freeBytes: number, keepDays: number) =>
    forecast([100, 100, 100], freeBytes, { keepDays }).daysUntilFull.likely
  expect(full(1_000, 0)).toBe(10)
  // 3 of 7 days are there: 5 more come, with the one that is not over, before the first is removed.
  expect([full(1_000, 7), full(501, 7), full(500, 7)]).toEqual([null, null, 5])
  // Fewer are kept from now on than are there.
  expect(full(100, 1)).toBeNull()
})

test('the forecast is of all that fills the disk, photos too, once a whole day of it is known', async () => {
  const folders = foldersIn(await temporaryFolder())
  const day = (n: number) => `2026-11-${String(n).padStart(2, '0')}`
  for (const n of [18, 19, 20]) {
    const at = `${day(n)}T12:00:00.000Z`
    writeJournal(folders.streams, day(n), 'web.0.17', stamped(line('web.0.17', n, at), at))
    await publish(folders, day(n))
  }
  await sampleDisk(folders, Date.parse(`${day(17)}T12:00:00.000Z`))
  const logs = sizing(folders, day(21), 0)
  expect(logs).toMatchObject({ counted: 'logs' })
  expect(logs.bytesPerDay).toBeLessThan(10_000)
  expect(logs.daysUntilFull.likely).toBeNull()
  // 1 % of what is free comes each day, mostly photos; of the 16th nothing is known, and the 21st is not over.
  const used = Number(Object.values(JSON.parse(readFileSync(folders.samples, 'utf8')))[0])
  const daily = Math.round(logs.freeBytes / 100)
  const looks = [17, 18, 19, 20, 21].map(n => [`${day(n)}T23:59:00.000Z`, used + (n - 17) * daily])
  writeFileSync(folders.samples, JSON.stringify(Object.fromEntries(looks)))
  const all = sizing(folders, day(21), 0)
  expect(all).toMatchObject({ counted: 'disk', bytesPerDay: daily })
  expect(all.daysUntilFull.likely).toBeGreaterThan(90)
  expect(all.daysUntilFull.likely).toBeLessThan(110)
})

test('where the photos have a disk of their own, the disk that is full first is forecast', async context => {
  const folders = foldersIn(await smallDisk(context, 2 ** 20), `file:${await temporaryFolder()}`)
  // The service was installed late on the 18th, which is no growth of the days after it.
  for (const [day, entries] of [
    ['2026-11-18', 1],
    ['2026-11-19', 60],
    ['2026-11-20', 60],
  ] as const) {
    const at = `${day}T12:00:00.000Z`
    for (let n = 1; n <= entries; n++)
      writeJournal(folders.streams, day, 'web.0.17', stamped(line('web.0.17', n, at), at))
    await publish(folders, day)
  }
  // The disk of the photos does not grow.
  const looks = [18, 19, 20].map(n => [`2026-11-${n}T23:59:00.000Z`, 1e9])
  writeFileSync(folders.samples, JSON.stringify(Object.fromEntries(looks)))
  const { counted, freeBytes, bytesPerDay, daysUntilFull } = sizing(folders, '2026-11-21', 0)
  expect(counted).toBe('logs')
  expect(freeBytes).toBeLessThan(2 ** 20)
  expect(daysUntilFull.likely).toBe(Math.ceil(freeBytes / (bytesPerDay ?? 0)))
})

test('before a whole day is known the forecast extrapolates from an hour on, and says how far it may be off', async () => {
  const folders = foldersIn(await temporaryFolder())
  mkdirSync(folders.streams, { recursive: true })
  const begin = Date.parse('2026-11-20T10:00:00.000Z')
  await sampleDisk(folders, begin)
  expect(sizing(folders, '2026-11-20', 0).bytesPerDay).toBeNull()
  // 1 % of what is free comes each day, in the fastest ten minutes at twice that rate.
  const { freeBytes } = sizing(folders, '2026-11-20', 0)
  const grown = [0, 1, 2, 4, 5, 6, 7].map(n => (n * freeBytes) / 100 / 144)
  const looks = grown.map((bytes, i) => [new Date(begin + i * 600_000).toISOString(), 1e9 + bytes])
  writeFileSync(folders.samples, JSON.stringify(Object.fromEntries(looks)))
  const { counted, hours, daysUntilFull } = sizing(folders, '2026-11-20', 0)
  expect({ counted, hours }).toEqual({ counted: 'disk', hours: 1 })
  expect(Math.abs((daysUntilFull.likely ?? 0) - 86)).toBeLessThan(4)
  expect(Math.abs((daysUntilFull.low ?? 0) - 50)).toBeLessThan(3)
  expect(Math.abs((daysUntilFull.high ?? 0) - 100)).toBeLessThan(4)
})

test('how full the disk is, is known of the last 90 days', async () => {
  const folders = foldersIn(await temporaryFolder())
  mkdirSync(folders.streams, { recursive: true })
  for (let n = 0; n < 100; n++) await sampleDisk(folders, Date.parse('2026-01-01') + n * 86_400_000)
  const days = Object.keys(JSON.parse(readFileSync(folders.samples, 'utf8'))).map(at => at.slice(0, 10))
  expect([days.length, days[0], days.at(-1)]).toEqual([90, '2026-01-11', '2026-04-10'])
})

test('of the last day the disk is looked at each ten minutes, and a clock that was ahead leaves no look', async () => {
  const folders = foldersIn(await temporaryFolder())
  mkdirSync(folders.streams, { recursive: true })
  const minute = 60_000
  const begin = Date.parse('2026-12-31T12:00:00.000Z')
  await sampleDisk(folders, begin + 9_999 * minute)
  for (let n = 0; n <= 36 * 60; n++) await sampleDisk(folders, begin + n * minute)
  const looks = Object.keys(JSON.parse(readFileSync(folders.samples, 'utf8')))
  expect(looks).toHaveLength(144 + 1)
  expect([looks[0], looks.at(-1)]).toEqual(['2026-12-31T23:50:00.000Z', '2027-01-02T00:00:00.000Z'])
})

test('the disk of the photos is looked at also before their folder is made: that of the logs would seem to have shrunk', async context => {
  const photos = `file:${await smallDisk(context, 2 ** 20)}/photos`
  const folders = foldersIn(await temporaryFolder(), photos)
  mkdirSync(folders.streams, { recursive: true })
  await sampleDisk(folders, Date.parse('2026-11-20'))
  const looks = JSON.parse(readFileSync(folders.samples, 'utf8')) as Record<string, number>
  expect(looks['2026-11-20T00:00:00.000Z']).toBeLessThanOrEqual(2 ** 20)
})

test('a start while the clock says 1970 keeps the looks of the days before', async () => {
  const folders = foldersIn(await temporaryFolder())
  mkdirSync(folders.streams, { recursive: true })
  await sampleDisk(folders, Date.parse('2026-11-20'))
  await sampleDisk(folders, 30_000)
  expect(Object.keys(JSON.parse(readFileSync(folders.samples, 'utf8')))).toEqual(['2026-11-20T00:00:00.000Z'])
})

test('a file of looks that a power cut filled with zeros, or that a person changed, begins anew', async () => {
  const folders = foldersIn(await temporaryFolder())
  mkdirSync(folders.streams, { recursive: true })
  // A person may have written no number, and no time.
  for (const content of [Buffer.alloc(100), '{"2026-11-18T00:00:00.000Z":null,"yesterday":1}']) {
    writeFileSync(folders.samples, content)
    expect(sizing(folders, '2026-11-20', 0).bytesPerDay).toBeNull()
  }
  await sampleDisk(folders, Date.parse('2026-11-20'))
  expect(Object.keys(JSON.parse(readFileSync(folders.samples, 'utf8')))).toEqual(['2026-11-20T00:00:00.000Z'])
})

test('a service may be called as a property of every object, and a day whose file a person removed is sized', async () => {
  const folders = foldersIn(await temporaryFolder())
  const at = '2026-11-20T12:00:00.000Z'
  for (const day of ['2026-11-20', '2026-11-21'])
    writeJournal(folders.streams, day, 'constructor.0.17', stamped(line('constructor.0.17', 1, at), at))
  await publish(folders, '2026-11-20')
  rmSync(dayFile(folders.days, { day: '2026-11-20', revision: 1 }))
  const { days, today } = sizing(folders, '2026-11-21', 0)
  expect(days[0]?.services.constructor).toMatchObject({ entries: 1 })
  expect(today?.services.constructor).toEqual({ bytes: today?.bytes })
})

test('a day’s size is counted by service and session, as its lines are', async () => {
  const folders = foldersIn(await temporaryFolder())
  const day = '2026-11-20'
  const at = `${day}T12:00:00.000Z`
  const other = 'fedcba9876543210'
  let bytes = 0
  const write = (stream: string, n: number, who: string | null) => {
    const text = stamped(line(stream, n, at, { session: who }), at)
    bytes += Buffer.byteLength(text)
    writeJournal(folders.streams, day, stream, text)
    return Buffer.byteLength(text)
  }
  let [ofOther, ofWeb] = [0, 0]
  for (let n = 1; n <= 10; n++) ofWeb += write('web.0.17', n, session)
  for (let n = 1; n <= 30; n++) ofOther += write('converter.0.17', n, other)
  write('converter.0.17', 31, null)
  await publish(folders, day)
  const { days } = sizing(folders, '2026-11-21', 0)
  expect(days[0]).toMatchObject({ entries: 41, bytes })
  expect(days[0]?.services.web).toEqual({ entries: 10, bytes: ofWeb })
  expect(days[0]?.services.converter?.entries).toBe(31)
  expect(days[0]?.sessions).toMatchObject({ count: 2, p99: ofOther, sampled: 1 })
  expect(days[0]?.sessions.largest).toEqual([
    { session: other, entries: 30, bytes: ofOther },
    { session, entries: 10, bytes: ofWeb },
  ])
})
