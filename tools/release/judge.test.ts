import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Objective, Series } from '../../slo/sources/index.ts'
import { randomNumbers } from '../../test/images.ts'
import { countVersions, type MsRange, type VersionComparison, type VersionCounts } from './count-versions.ts'
import { openEvidence } from './evidence.ts'
import { type Counts, fisher, risingChance, upperBound } from './exact.ts'
import { type Circumstances, type Judgement, openJudge } from './judge.ts'

describe('exact statistics', () => {
  test('Fisher’s p values are those counted by hand', () => {
    expect(fisher({ bad: 1, total: 10 }, { bad: 3, total: 4 })).toBeCloseTo(41 / 1001, 9)
    expect(fisher({ bad: 0, total: 1000 }, { bad: 4, total: 100 })).toBeCloseTo(
      (100 * 99 * 98 * 97) / (1100 * 1099 * 1098 * 1097),
      12,
    )
    expect(fisher({ bad: 5, total: 50 }, { bad: 5, total: 50 })).toBeCloseTo(0.6297, 3)
    expect(fisher({ bad: 0, total: 0 }, { bad: 7, total: 7 })).toBe(1)
    expect(fisher({ bad: 0.5, total: 100.25 }, { bad: 30.5, total: 40.75 })).toBeLessThan(0.001)
  })

  test('the upper bound is Clopper and Pearson’s, and 1 without events', () => {
    expect(upperBound({ bad: 0, total: 299 }, 0.05)).toBeCloseTo(0.00997, 4)
    expect(upperBound({ bad: 0, total: 298 }, 0.05)).toBeGreaterThan(0.01)
    expect(upperBound({ bad: 3, total: 100 }, 0.05)).toBeCloseTo(0.0757, 3)
    expect(upperBound({ bad: 0, total: 0 }, 0.05)).toBe(1)
  })

  test('a steady rise is no chance, noise is, and fewer than ten values say nothing', () => {
    expect(risingChance(Array.from({ length: 20 }, (_, n) => n))).toBeLessThan(1e-8)
    const random = randomNumbers(7)
    expect(risingChance(Array.from({ length: 20 }, random))).toBeGreaterThan(0.01)
    expect(risingChance([1, 2, 3, 4, 5, 6, 7, 8, 9])).toBe(1)
  })
})

const latency = {
  name: 'latency',
  displayName: 'The thumbnail in time',
  method: 'Occurrences',
  target: { numerator: 99, denominator: 100 },
} as Objective

const none: Counts = { bad: 0, total: 0 }
const counted = (old: Counts, other: Counts, more: Partial<VersionCounts> = {}): VersionCounts => ({
  objectives: [{ objective: latency, counts: { old, new: other } }],
  compared: [],
  memory: [],
  seen: [{ instance: 'web.0-green', at: 1_000_000 }],
  ...more,
})
const fine: Circumstances = {
  nowMs: 1_000_000,
  staleSeconds: 20,
  died: [],
  journeys: { failedInARow: 0, good: 5, offlineMinutes: 0 },
  dayTotals: [100_000],
}
const judge = (evidence: VersionCounts, more: Partial<Circumstances> = {}): Judgement =>
  openJudge()(evidence, { ...fine, ...more })
const why = (verdict: Judgement) => (verdict.verdict === 'bad' ? verdict.reasons.map(({ what }) => what) : [])

test('a value that is not a number is no growth of a counter, and a new version’s process counts from zero', () => {
  const values = [1, 3, NaN, 4, Infinity, 6]
  const seriesOf = (version: string): Series[] => {
    const points = values.map((value, i) => ({ at: i + 1, value }))
    const labels = { job: 'web', instance: version }
    const build = { name: 'build_info', labels: { ...labels, version }, points }
    return [build, { name: 'events_total', labels, points }]
  }
  const events = { what: '', process: '', stage: '', bad: 'bad_total', total: 'events_total' }
  const compare = [{ ...events, floorRatio: 1, floorSeconds: 0 }]
  const of = (spans: MsRange[]) =>
    countVersions(
      [...seriesOf('v1'), ...seriesOf('v2')],
      { buildInfo: 'build_info', memory: 'bytes', compare },
      [],
      { old: 'v1', new: 'v2' },
      { old: spans, new: spans, together: spans },
    ).compared[0]?.counts
  expect(of([{ from: 0, to: 9 }])).toMatchObject({ old: { total: 5 }, new: { total: 6 } })
  expect(of([{ from: 3, to: 5 }])).toMatchObject({ old: { total: 1 }, new: { total: 1 } })
})

describe('a step', () => {
  const old = { bad: 0, total: 5_000 }

  test('without traffic is never good: it waits', () => {
    expect(judge(counted(old, none))).toMatchObject({ verdict: 'waiting', missing: /0 events/ })
    expect(judge(counted(none, none))).toMatchObject({ verdict: 'waiting' })
    expect(judge(counted(old, { bad: 0, total: 500 }, { seen: [] }))).toMatchObject({ verdict: 'waiting' })
  })

  test('waits for as many events as its objective needs, and is good with them', () => {
    expect(judge(counted(old, { bad: 0, total: 298 }))).toMatchObject({ verdict: 'waiting' })
    expect(judge(counted(old, { bad: 0, total: 299 }))).toEqual({ verdict: 'good' })
  })

  test('an old version that is bad itself is no measure for a new one that is as bad', () => {
    const bad = { bad: 150, total: 5_000 }
    expect(judge(counted(bad, { bad: 15, total: 500 }))).toMatchObject({ verdict: 'waiting' })
    expect(judge(counted(bad, { bad: 60, total: 2_000 }))).toEqual({ verdict: 'good' })
  })

  test('of a version that fails 2 % is bad', () => {
    expect(why(judge(counted(old, { bad: 8, total: 400 })))[0]).toMatch(/broke 8 of 400/)
  })

  test('is bad whatever the comparison says when a tenth of the day’s budget is broken, but not for two', () => {
    const equal = { bad: 100, total: 200 }
    expect(why(judge(counted(equal, { bad: 3, total: 6 }), { dayTotals: [2_000] }))).toHaveLength(1)
    expect(why(judge(counted(equal, { bad: 3, total: 6 }), { dayTotals: [4_000] }))).toHaveLength(0)
    expect(why(judge(counted(equal, { bad: 2, total: 4 }), { dayTotals: [0] }))).toHaveLength(0)
  })

  test('is bad after seven minutes offline, and when two journeys in a row fail', () => {
    const good = counted(old, { bad: 0, total: 999 })
    const journeys = (more: Partial<Circumstances['journeys']>) => ({
      journeys: { ...fine.journeys, ...more },
    })
    expect(why(judge(good, journeys({ offlineMinutes: 7 })))[0]).toMatch(/7 minutes offline/)
    expect(judge(good, journeys({ offlineMinutes: 6 }))).toEqual({ verdict: 'good' })
    expect(judge(good, journeys({ failedInARow: 1 }))).toMatchObject({ verdict: 'waiting' })
    const wrong = judge(
      good,
      journeys({ failedInARow: 2, failure: { what: 'a picture', process: 'converter', stage: 'convert' } }),
    )
    expect(wrong).toMatchObject({ verdict: 'bad', reasons: [{ stage: 'convert' }] })
  })

  test('is bad when a process ended or its metrics are away', () => {
    const good = counted(old, { bad: 0, total: 999 })
    expect(why(judge(good, { died: ['web-green'] }))[0]).toMatch(/web-green ended/)
    expect(why(judge(good, { nowMs: 1_021_000 }))[0]).toMatch(/metrics of web.0-green are away/)
  })

  test('is bad when memory rises and is twice the old version’s, not when it only rises', () => {
    const rising = (factor: number) => Array.from({ length: 20 }, (_, n) => (100 + n * factor) * 1e6)
    const of = (bytes: number[]) =>
      counted(
        old,
        { bad: 0, total: 999 },
        {
          memory: [{ instance: 'converter.0-green', process: 'converter', bytes, oldMost: 150e6 }],
        },
      )
    expect(why(judge(of(rising(20))))[0]).toMatch(/memory of converter.0-green rises/)
    expect(judge(of(rising(5)))).toEqual({ verdict: 'good' })
  })

  test('names the process and the stage that became slower, unless the difference is too small to matter', () => {
    const slower = (seconds: number): VersionComparison => ({
      what: 'mean time to convert a photo',
      process: 'converter',
      stage: 'convert',
      counts: { old: { bad: 30, total: 400 }, new: { bad: 40, total: 40 } },
      seconds: { old: 0.1, new: seconds, floorRatio: 1.5, floorSeconds: 0.01 },
    })
    const of = (seconds: number) => counted(old, { bad: 0, total: 999 }, { compared: [slower(seconds)] })
    expect(judge(of(0.2))).toMatchObject({
      verdict: 'bad',
      reasons: [{ what: /0.200 s, the old version 0.100 s/, process: 'converter', stage: 'convert' }],
    })
    expect(judge(of(0.14))).toEqual({ verdict: 'good' })
  })
})

describe('the stated error rates, over 300 releases that are looked at after every twenty events', () => {
  /** How a release of a version ends that breaks this share, the old one 0.2 %. */
  function ends(share: number, random: () => number): 'good' | 'bad' | 'waiting' {
    const look = openJudge()
    const [old, other] = [
      { bad: 0, total: 0 },
      { bad: 0, total: 0 },
    ]
    for (let events = 0; events < 3_000; events += 20) {
      for (let n = 0; n < 20; n++) other.bad += Number(random() < share)
      for (let n = 0; n < 180; n++) old.bad += Number(random() < 0.002)
      old.total += 180
      other.total += 20
      const { verdict } = look(counted({ ...old }, { ...other }), { ...fine, dayTotals: [1e6] })
      if (verdict !== 'waiting') return verdict
    }
    return 'waiting'
  }
  const of = (share: number, seed: number) => {
    const random = randomNumbers(seed)
    const all = Array.from({ length: 300 }, () => ends(share, random))
    return (wanted: string) => all.filter(each => each === wanted).length / all.length
  }

  test('as good a version is called bad in at most 1 %, and gets through', () => {
    const share = of(0.002, 1)
    expect(share('bad')).toBeLessThanOrEqual(0.01)
    expect(share('good')).toBeGreaterThan(0.95)
  })

  test('one that fails 2 % of the photos gets through in at most 2 %, and one that fails 5 % never', () => {
    expect(of(0.02, 2)('good')).toBeLessThanOrEqual(0.02)
    expect(of(0.05, 3)('good')).toBe(0)
  })
})

test('a read of metrics that fails once takes no release back, and the first one must succeed', async () => {
  const labels = { job: 'web', instance: '0-green', version: 'new' }
  const at = 1_700_000_000
  const series = { metric: { __name__: 'tintype_build_info', ...labels }, values: [[at, '1']] }
  let isAway = true
  const server = createServer(({ headers }, response) => {
    const answer = JSON.stringify({ status: 'success', data: { result: [series] } })
    response.writeHead(isAway ? 503 : headers.authorization ? 200 : 401).end(isAway ? '' : answer)
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const prometheusUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const evidence = openEvidence(
    { prometheusUrl, environment: { PROMETHEUS_HEADERS: 'Authorization=Bearer x' }, dataDir: '' },
    { old: 'old', new: 'new' },
  )
  const seen = async () => (await evidence.count({ old: [], new: [], together: [] })).seen
  await expect(seen()).rejects.toThrow('answered 503')
  isAway = false
  const known = [{ instance: 'web.0-green', at: at * 1000 }]
  expect(await seen()).toEqual(known)
  const totals = await evidence.dayTotals()
  isAway = true
  expect(await seen()).toEqual(known)
  expect(await evidence.dayTotals()).toEqual(totals)
})
