import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../../test/support.ts'
import type { Selector, Sli, Source } from '../index.ts'
import { parseSelector } from '../promql.ts'
import { createStore, openStore } from './store.ts'

const kept = selecting('kept')
const counter = (selector: Selector) => ({ promql: '', selector })
const sliOf = (total: Selector, maxGapSeconds = 75): Sli => ({
  kind: 'ratio',
  counts: 'good',
  part: counter(total),
  total: counter(total),
  maxGapSeconds,
})
const sli: Sli = { ...sliOf(selecting('kept|broken')), part: counter(kept) } as Sli
const ofKept = sliOf(kept)
const minute = 60_000
const noon = Date.UTC(2026, 10, 22, 12)
const noonMinute = noon / minute

async function recorded(points: [atMs: number, value: number | null][]) {
  const file = `${await temporaryFolder()}/recorder.sqlite`
  const store = createStore(file, [sli])
  for (const [at, value] of points) store.append(scrapeOf(noon + at, value))
  return { file, store }
}

/** As `scrapeOf`, of a process that started at a time after noon. */
const processOf = (startedMs: number, at: number, value: number) => {
  const scrape = scrapeOf(at, value)
  const start = { name: 'process_start_time_seconds', labels: '', value: (noon + startedMs) / 1000 }
  return { ...scrape, samples: [...(scrape.samples ?? []), start] }
}

const scrapeOf = (at: number, value: number | null, instance = 'a:1') => ({
  job: 'web',
  instance,
  at,
  samples: value === null ? null : [{ name: kept.metric, labels: 'outcome="kept"', value }],
})

/** Increases of each minute since noon, null for no sample. */
const minutesOf = async (store: Source, count: number, from = noonMinute, of = ofKept) =>
  (await store.slots(of, from, from + count)).map(({ total, unknown }) => (unknown ? null : total))

function selecting(outcomes: string): Selector {
  return {
    metric: 'tintype_promises_total',
    matchers: [{ label: 'outcome', operator: '=~', value: outcomes }],
  }
}

test('an increase counts in the minute of the sample that shows it, a sample on the full minute in the old one', async () => {
  const { store } = await recorded([
    [1_000, 10],
    [59_500, 13],
    [60_000, 14],
    [60_001, 19],
  ])
  expect(await minutesOf(store, 2)).toEqual([4, 5])
})

test('the first value of a series is no increase: it may be days old', async () => {
  const { store } = await recorded([[1_000, 5_000]])
  expect(await minutesOf(store, 1)).toEqual([0])
})

test('a value below the last is a restart from zero', async () => {
  const { store } = await recorded([
    [1_000, 100],
    [16_000, 3],
    [31_000, 4],
  ])
  expect(await minutesOf(store, 1)).toEqual([4])
})

test('minutes without a sample are known from minutes without an increase, and an increase over a gap is left out', async () => {
  const { store } = await recorded([
    [1_000, 7],
    [61_000, null],
    [76_000, 9],
    [121_000, null],
    [241_000, 12],
  ])
  expect(await minutesOf(store, 5)).toEqual([0, 2, null, null, 0])
})

test('NaN and infinite counts are as if they had not been', async () => {
  const { store } = await recorded([
    [1_000, 7],
    [16_000, NaN],
    [31_000, Infinity],
    [46_000, 8],
  ])
  expect(await minutesOf(store, 1)).toEqual([1])
})

test('a clock that was ahead for a scrape, or the same moment twice, loses no count and holds nothing up', async () => {
  const { store } = await recorded([
    [1_000, 7],
    [3_600_000, 8],
    [31_000, 10],
    [31_000, 11],
    [46_000, 12],
  ])
  expect(await minutesOf(store, 1)).toEqual([4])
  // Of an hour, one minute has what a scrape with a wrong time had: here nothing, since the gap was too long.
  expect((await minutesOf(store, 61)).slice(1)).toEqual([...Array(58).fill(null), 0, null])
  const [series] = await store.series([{ metric: kept.metric, matchers: [] }], noon, noon + 7_200_000)
  expect(series?.points.map(({ at, value }) => [at - noon, value])).toEqual([
    [1_000, 7],
    [31_000, 11],
    [46_000, 12],
  ])
})

test('what a process counted before it was first scraped counts, and after a restart all that the new one has', async () => {
  const { store } = await recorded([])
  store.append(processOf(0, noon + 15_000, 20))
  store.append(processOf(0, noon + 30_000, 22))
  store.append(scrapeOf(noon + 45_000, null))
  store.append(processOf(45_000, noon + 60_000, 30))
  expect(await minutesOf(store, 1)).toEqual([20 + 2 + 30])
})

test('a start time that varies with the clock of its machine is no restart', async () => {
  const { store } = await recorded([])
  for (const [i, seconds] of [0, 1, -1, 0, 1_800, 1_800].entries())
    store.append(processOf((seconds - 3_600) * 1_000, noon + 15_000 * i, 5_000 + i))
  expect(await minutesOf(store, 2)).toEqual([4, 1])
})

test('of two processes that answer in turn behind a load balancer no count is taken for the growth of the other', async () => {
  const { store } = await recorded([])
  const [one, other] = [-7_200_000, -3_600_000]
  const append = (started: number, seconds: number, value: number) =>
    store.append(processOf(started, noon + seconds * 1_000, value))
  expect([append(one, 15, 5_000), append(other, 30, 8_000)]).toEqual([false, false])
  expect(append(one, 61, 5_002)).toBe(true)
  append(other, 76, 8_002)
  append(other, 91, 8_005)
  append(one, 106, 5_009)
  expect((await minutesOf(store, 2))[1]).toBe(3)
  // A restart still counts from zero.
  append(125_000, 130, 6)
  expect((await minutesOf(store, 3))[2]).toBe(6)
})

test('what a process counted long before the recorder saw it does not count', async () => {
  const { store } = await recorded([])
  store.append(processOf(-3_600_000, noon + 15_000, 5_000))
  store.append(processOf(-3_600_000, noon + 30_000, 5_001))
  expect(await minutesOf(store, 1)).toEqual([1])
})

test('a series born in a running process counts from zero, a counter that is only now rolled up does not', async () => {
  const { store, file } = await recorded([])
  const scrape = processOf(0, noon + 15_000, 7)
  store.append({ ...scrape, samples: scrape.samples.slice(1) })
  store.append(processOf(0, noon + 30_000, 3))
  expect(await minutesOf(store, 1)).toEqual([3])
  await store.close()
  const without = createStore(`${file}.2`, [])
  without.append(processOf(0, noon + 15_000, 5_000))
  await without.close()
  const again = createStore(`${file}.2`, [sli])
  again.append(processOf(0, noon + 30_000, 5_001))
  again.append(processOf(0, noon + 45_000, 5_002))
  expect(await minutesOf(again, 1)).toEqual([1])
})

test('a series given twice in one scrape counts once', async () => {
  const { store } = await recorded([[1_000, 1]])
  const twice = scrapeOf(noon + 16_000, 5)
  store.append({ ...twice, samples: [...(twice.samples ?? []), ...(scrapeOf(0, 50).samples ?? [])] })
  expect(await minutesOf(store, 1)).toEqual([4])
})

test('a recorder started anew goes on where the last one stopped', async () => {
  const { store, file } = await recorded([[1_000, 10]])
  await store.close()
  const again = createStore(file, [sli])
  again.append(scrapeOf(noon + 16_000, 15))
  expect(await minutesOf(again, 1)).toEqual([5])
})

test.each([
  ['is no database', (file: string) => writeFileSync(file, 'x'.repeat(8_192))],
  [
    'lost its second half',
    (file: string) => truncateSync(file, Math.ceil(statSync(file).size / 8_192) * 4_096),
  ],
  [
    'has a page of rubbish',
    (file: string) => {
      const bytes = readFileSync(file)
      writeFileSync(file, bytes.fill(0xff, 3 * 4_096, 5 * 4_096))
    },
  ],
])('a file that %s is set aside, and the recorder begins anew', async (_, damage) => {
  const { store, file } = await recorded([[1_000, 1]])
  await store.close()
  damage(file)
  const damages: string[] = []
  const again = createStore(file, [sli], why => void damages.push(why))
  again.append(scrapeOf(noon, 7))
  again.append(scrapeOf(noon + 15_000, 9))
  expect(await minutesOf(again, 1)).toEqual([2])
  await again.close()
  expect(damages).toEqual([expect.stringContaining(`the file is now ${file}.damaged`)])
  expect(statSync(`${file}.damaged`).size).toBeGreaterThan(0)
  await createStore(file, [sli], why => void damages.push(why)).close()
  expect(damages).toHaveLength(1)
})

test('two instances are two series: each keeps its own last value, and they add up', async () => {
  const { store } = await recorded([[1_000, 10]])
  store.append(scrapeOf(noon + 2_000, 100, 'b:1'))
  store.append(scrapeOf(noon + 16_000, 11))
  store.append(scrapeOf(noon + 17_000, 102, 'b:1'))
  expect(await minutesOf(store, 1)).toEqual([3])
})

test('a counter is selected by the job of its target; a label job that the target exposes is another one', async () => {
  const selector = parseSelector('req_total{job="web"}') as Selector
  const ofJob = sliOf(selector)
  const store = createStore(`${await temporaryFolder()}/recorder.sqlite`, [ofJob])
  for (const [at, a, b] of [
    [1_000, 1, 10],
    [16_000, 2, 30],
  ] as const)
    for (const job of ['web', 'other']) {
      const samples = [
        { name: 'req_total', labels: 'job="a"', value: a },
        { name: 'req_total', labels: 'job="b"', value: b },
      ]
      store.append({ job, instance: '0', at: noon + at, samples })
    }
  expect(await minutesOf(store, 1, noonMinute, ofJob)).toEqual([1 + 20])
})

test('samples are read back by metric, with the labels of their target', async () => {
  const { store } = await recorded([
    [1_000, 10],
    [16_000, null],
  ])
  expect(
    await store.series(
      [
        { metric: kept.metric, matchers: [] },
        { metric: 'up', matchers: [] },
      ],
      noon,
      noon + minute,
    ),
  ).toEqual([
    {
      name: kept.metric,
      labels: { instance: 'a:1', job: 'web', outcome: 'kept' },
      points: [{ at: noon + 1_000, value: 10 }],
    },
    {
      name: 'up',
      labels: { instance: 'a:1', job: 'web' },
      points: [
        { at: noon + 1_000, value: 1 },
        { at: noon + 16_000, value: 0 },
      ],
    },
  ])
})

test('with a step, one sample of each is read', async () => {
  const { store } = await recorded([
    [1_000, 10],
    [16_000, 11],
    [61_000, 12],
  ])
  const [series] = await store.series(
    [{ metric: kept.metric, matchers: [] }],
    noon,
    noon + 2 * minute,
    minute,
  )
  expect(series?.points.map(({ value }) => value)).toEqual([10, 12])
})

test('a sample at the end of a step belongs to that step, as in the window of which it is the last', async () => {
  const { store } = await recorded([15_000, 60_000, 90_000, 120_000].map((at, i) => [at, i]))
  const [series] = await store.series(
    [{ metric: kept.metric, matchers: [] }],
    noon,
    noon + 2 * minute,
    minute,
  )
  expect(series?.points.map(({ at }) => at - noon)).toEqual([15_000, 90_000])
})

test('a reader beside the writer sees what was committed, over the edge of an hour', async () => {
  const { file } = await recorded([
    [-1_000, 1],
    [1_000, 3],
  ])
  const reader = openStore(file)
  expect(await minutesOf(reader, 2, noonMinute - 1)).toEqual([0, 2])
  expect(() => openStore(`${file}.absent`)).toThrow('nothing was recorded yet')
  await reader.close()
})

test('samples and minutes are kept for their time, and removed a little at a time; what nothing refers to is gone', async () => {
  const { store } = await recorded([
    [1_000, 1],
    [16_000, 2],
  ])
  const day = 1440 * minute
  const lastRoute = { job: 'web', instance: 'a:1', at: noon + 3 * day }
  store.append({ ...lastRoute, samples: [{ name: 'route_once_seen', labels: '', value: 1 }] })
  expect(store.prune(noon + 3 * day, 35)).toEqual({ samples: 2, minutes: 0 })
  expect(await store.series([{ metric: kept.metric, matchers: [] }], 0, noon + 4 * day)).toEqual([])
  expect(await store.series([{ metric: 'route_once_seen', matchers: [] }], 0, noon + 4 * day)).toHaveLength(1)
  expect(await minutesOf(store, 1)).toEqual([2 - 1])
  expect(store.prune(noon + 1000 * day, 0)).toMatchObject({ minutes: 0 })
  expect(store.prune(noon + 36 * day, 35)).toMatchObject({ minutes: 60 })
  expect(await minutesOf(store, 1)).toEqual([null])
  expect(await store.seenBefore(ofKept, noonMinute + 9 * 1440)).toBe(false)
})

test('of many counters as much is removed in an hour as an hour adds', async () => {
  const { store } = await recorded([])
  for (let i = 0; i < 1_000; i++) store.append(scrapeOf(noon, i, `a:${i}`))
  expect(store.prune(noon + 36 * 1440 * minute, 35)).toMatchObject({ minutes: 1_000 * 60 })
})

test('a clock that is years ahead for a moment costs the oldest minutes only', async () => {
  const { store } = await recorded([])
  for (let hour = 0; hour < 1_000; hour++) store.append(scrapeOf(noon + hour * 3_600_000, hour))
  const year = 365 * 1440 * minute
  expect(store.prune(noon + 10 * year, 35).minutes).toBeLessThan(1_000 * 60)
  expect(await minutesOf(store, 1, noonMinute + 999 * 60 - 1)).toEqual([0])
})

test('a scrape of 400 series costs under a kilobyte, or the disk fills', async () => {
  const { store, file } = await recorded([])
  for (let i = 0; i < 1_000; i++) {
    const samples = Array.from({ length: 400 }, (_, n) => ({
      name: `m${n}`,
      labels: '',
      value: n < 200 ? 0 : i * n,
    }))
    store.append({ job: 'web', instance: 'a:1', at: noon + i * 15_000, samples })
  }
  await store.close()
  expect(statSync(file).size / 1_000).toBeLessThan(1_200)
})

test('a further objective about the same counter, of minutes instead of events, begins when it is first counted', async () => {
  const { store, file } = await recorded([
    [1_000, 1],
    [16_000, 2],
  ])
  await store.close()
  const slices = { ...sli, maxGapSeconds: 120 } as Sli
  const again = createStore(file, [sli, slices])
  again.append(scrapeOf(noon + 7_216_000, 3))
  const seen = (maxGap: number, minute: number) => again.seenBefore(sliOf(kept, maxGap), noonMinute + minute)
  expect(await Promise.all([seen(75, 60), seen(120, 60), seen(120, 121)])).toEqual([true, false, true])
})

test('the first sight of a counter above zero is remembered for good', async () => {
  const { store } = await recorded([
    [1_000, 0],
    [61_000, 2],
    [76_000, 0],
  ])
  expect(await store.seenBefore(ofKept, noonMinute + 1)).toBe(false)
  expect(await store.seenBefore(ofKept, noonMinute + 2)).toBe(true)
  expect(await store.seenBefore(sliOf(selecting('broken')), noonMinute + 9)).toBe(false)
})
