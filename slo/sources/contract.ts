import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { countedKinds } from '../test/kinds.ts'
import { samplesSource } from '../test/samples-source.ts'
import { randomScenario, type Simulated, simulate } from '../test/simulate.ts'
import { groupOf } from './groups.ts'
import type { Minute, Objective, Source } from './index.ts'

/** Time between scenarios, so that none counts another's events. */
const apartMinutes = 5 * 1440
const scenarios = process.env.TEST_FULL ? 8 : 3
const epochMinute = Date.UTC(2026, 0, 1) / 60_000

/** Tintype's objectives, and one of each kind that every source reads; of grouped ones one group each. */
export const contractObjectives: readonly Objective[] = [
  ...readDirectory().objectives,
  ...countedKinds.map(each => (each.groupBy ? groupOf(each, each.groupBy, 'converter') : each)),
]

/** All scenarios in sequence, with one of unusual values: the data that a source is filled with. */
export function contractData(): { series: Simulated['series']; parts: { from: Minute; part: Simulated }[] } {
  const parts = Array.from({ length: scenarios }, (_, i) => {
    const from = epochMinute + i * apartMinutes
    return { from, part: shift(simulate(randomScenario(100 + i)), from) }
  })
  const from = epochMinute + scenarios * apartMinutes
  return {
    series: join([...parts, { from, part: awkward(from) }]),
    parts: [...parts, { from, part: awkward(from) }],
  }
}

/** NaN, infinities and a counter that goes backwards twice in a minute. */
function awkward(from: Minute): Simulated {
  const values = [0, 1, NaN, 2, 3, Infinity, 4, 5, 1, 7, 0, 9, 9, NaN, 10, 12]
  const samples = values.map((value, i) => ({ timeMs: from * 60_000 + 3_000 + i * 15_000, value }))
  const labels = { job: 'slo', instance: 'slo:1', outcome: 'success' }
  return {
    name: 'awkward values',
    minutes: 6,
    series: [{ metric: 'tintype_probe_attempts_total', labels, samples }],
  }
}

const shift = (simulated: Simulated, minutes: number): Simulated => ({
  ...simulated,
  series: simulated.series.map(each => ({
    ...each,
    samples: each.samples.map(({ timeMs, value }) => ({ timeMs: timeMs + minutes * 60_000, value })),
  })),
})

function join(parts: { part: Simulated }[]): Simulated['series'] {
  const joined = new Map<string, Simulated['series'][number]>()
  for (const each of parts.flatMap(({ part }) => part.series)) {
    const key = each.metric + JSON.stringify(each.labels)
    const samples = [...(joined.get(key)?.samples ?? []), ...each.samples]
    joined.set(key, { ...each, samples })
  }
  return [...joined.values()]
}

/** What every source must do when it has `contractData()`: give the same slots as the samples. */
export function sourceContract(open: () => Source): void {
  const objectives = contractObjectives
  const { parts } = contractData()

  for (const { from, part } of parts) {
    test.each(objectives)(`${part.name}: $id has the slots of the samples`, async ({ sli }) => {
      const expected = await samplesSource(part).slots(sli, from - 5, from + part.minutes)
      expect(await open().slots(sli, from - 5, from + part.minutes)).toEqual(expected)
    })
  }

  test.each(objectives)('$id: slots do not depend on where the window begins', async ({ sli }) => {
    const { from, part } = parts[0] ?? { from: 0, part: { minutes: 0 } }
    const whole = await open().slots(sli, from, from + part.minutes)
    const middle = Math.floor(part.minutes / 2)
    expect(await open().slots(sli, from + middle, from + part.minutes)).toEqual(whole.slice(middle))
  })

  test.each(objectives)(
    '$id: nothing was seen before the first sample, and something after',
    async ({ sli }) => {
      expect(await open().seenBefore(sli, epochMinute)).toBe(false)
      expect(await open().seenBefore(sli, epochMinute + apartMinutes)).toBe(true)
    },
  )

  test.each(objectives)('$id: a label has no value before the first sample', async ({ sli }) => {
    const before = open().labelValues(sli, 'job', epochMinute - apartMinutes, epochMinute - 1440)
    expect(await before).toEqual([])
    const after = open().labelValues(sli, 'job', epochMinute - apartMinutes, epochMinute + apartMinutes)
    expect(await after).not.toEqual([])
  })

  test('no minutes are no slots', async () => {
    for (const { sli } of objectives) expect(await open().slots(sli, epochMinute, epochMinute)).toEqual([])
  })
}
