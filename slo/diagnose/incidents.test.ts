import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import type { Source } from '../sources/index.ts'
import { live } from '../test/incident.ts'
import { samplesSource } from '../test/samples-source.ts'
import { readBurning } from './incidents.ts'

const minute = 60_000
const startMs = Date.UTC(2026, 10, 20)

/** What the objectives say at a minute of a service whose uploads fail from one minute to another. */
async function burningAt(at: number, from: number, to: number) {
  const series = live({
    seconds: at * 60,
    stepMs: 15_000,
    startMs,
    world: second => (second > from * 60 && second <= to * 60 ? { probeDies: 'connect' } : {}),
  })
  const counters = series.map(({ name, labels, points }) => ({
    metric: name,
    labels,
    samples: points.map(each => ({ timeMs: each.at, value: each.value })),
  }))
  const source = samplesSource({ name: '', minutes: 0, series: counters })
  const { incidents, now } = await readBurning(source, readDirectory().objectives, startMs + at * minute, 1)
  const minuteOf = (ms: number) => (ms - startMs) / minute
  return { incidents: incidents.map(({ fromMs, toMs }) => [minuteOf(fromMs), minuteOf(toMs)]), now }
}

test('an incident begins with its first bad minute, and has no end while its budget burns', async () => {
  expect(await burningAt(90, 60, 90)).toEqual({
    incidents: [[60, Infinity]],
    now: ['availability'],
  })
})

test('the running minute counts as far as it is known', async () => {
  expect(await burningAt(60.75, 60, 61)).toEqual({
    incidents: [[60, Infinity]],
    now: ['availability'],
  })
  expect(await burningAt(60.1, 70, 70)).toEqual({ incidents: [], now: [] })
})

test('a running minute in which nothing was counted yet is not bad', async () => {
  const to = startMs / minute + 60
  const source: Source = {
    ...samplesSource({ name: '', minutes: 0, series: [] }),
    slots: async (_, from, until) =>
      Array.from({ length: until - from }, (_, i) => {
        const count = from + i < to ? 4 : 0
        return { start: from + i, good: count, total: count, unknown: false }
      }),
    seenBefore: async () => true,
  }
  expect(await readBurning(source, readDirectory().objectives, to * minute + 5_000, 1)).toMatchObject({
    now: [],
  })
})

test('an incident ends when no short window burns any more', async () => {
  const { incidents, now } = await burningAt(150, 60, 80)
  expect(now).toEqual([])
  expect(incidents).toHaveLength(1)
  expect(incidents[0]?.[0]).toBe(60)
  expect(incidents[0]?.[1]).toBeGreaterThan(80)
})

test('a quiet service has no incident', async () => {
  expect(await burningAt(60, 60, 60)).toEqual({ incidents: [], now: [] })
})
