import { expect, test } from 'vitest'
import { countedKinds } from '../test/kinds.ts'
import { samplesSource } from '../test/samples-source.ts'
import { readRecorded } from './recorded.ts'

const counter = (job: string, growth: number) => ({
  metric: 'tintype_promises_total',
  labels: { job, instance: `${job}:1`, outcome: 'kept' },
  samples: Array.from({ length: 240 }, (_, i) => ({ timeMs: i * 15_000 + 7_000, value: i * growth })),
})
const grouped = countedKinds.filter(({ name }) => name === 'grouped-slices')
const source = samplesSource({ name: '', minutes: 60, series: [counter('busy', 1), counter('idle', 0)] })
const minutesOf = async (since?: number) => {
  const recorded = await readRecorded(source, grouped, { from: 0, to: 60, since })
  return recorded?.objectives.map(({ objective, slots }) => [objective.group, slots.length])
}

test('a group that never counted anything has no minutes, unless it is said since when it counts', async () => {
  expect(await minutesOf()).toEqual([
    ['busy', 60],
    ['idle', 0],
  ])
  expect(await minutesOf(10)).toEqual([
    ['busy', 50],
    ['idle', 50],
  ])
})
