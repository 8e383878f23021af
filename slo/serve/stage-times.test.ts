import { expect, test } from 'vitest'
import type { Source } from '../sources/index.ts'
import { stagesOf } from './stage-times.ts'

const nowMs = Date.UTC(2026, 10, 26, 12, 0, 7)

/** A histogram that counts an event of half a second each second, scraped each 15 s since a time. */
const since = (sinceMs: number) =>
  ({
    series: async (selectors, fromMs, toMs, stepMs = 1) =>
      selectors.map(({ metric: name }) => {
        const scrapes = Array.from({ length: (nowMs - sinceMs) / 15_000 }, (_, i) => sinceMs + i * 15_000)
        const read = scrapes.filter(at => at > fromMs && at <= toMs)
        const steps = Map.groupBy(read, at => Math.floor(at / stepMs))
        const points = [...steps.values()].map(([at = 0]) => ({ at, value: (at - sinceMs) / 1000 }))
        return { name, labels: name.endsWith('_bucket') ? { le: '1' } : {}, points }
      }),
  }) as Pick<Source, 'series'> as Source

const service = {
  stages: [{ name: 'work', histogram: 'work_seconds' }],
  whole: undefined,
  scrapeSeconds: 15,
} as unknown as Parameters<typeof stagesOf>[0]

test.each([
  [2, 30],
  [40, 60],
  [180, 150],
])(
  'of a service that began %i minutes ago the lanes are filled, in steps of %i s',
  async (minutes, seconds) => {
    const begunMs = nowMs - minutes * 60_000
    const { times, stages } = await stagesOf(service, since(begunMs), begunMs, nowMs)
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBe(seconds)
    expect(times.length).toBeLessThanOrEqual(73)
    const measured = stages[0]?.p99.filter(value => value !== null) ?? []
    expect(measured.length).toBeGreaterThanOrEqual(2)
    // The first step has the first sample, and the last one may have none yet.
    expect(times.length - measured.length).toBeLessThanOrEqual(2)
  },
)
