import { limits } from '@tintype/lib/limits.ts'
import { expect, test } from 'vitest'
import { countedKinds } from '../test/kinds.ts'
import { samplesSource } from '../test/samples-source.ts'
import { groupOf } from './groups.ts'
import { type Objective, type Sli, type Source, SourceError } from './index.ts'
import { readRecorded } from './recorded.ts'

const counter = (job: string, growth: number) => ({
  metric: 'tintype_promises_total',
  labels: { job, instance: `${job}:1`, outcome: 'kept' },
  samples: Array.from({ length: 240 }, (_, i) => ({ timeMs: i * 15_000 + 7_000, value: i * growth })),
})
const grouped = countedKinds.filter(({ name }) => name === 'grouped-slices')
const [perBusy, perIdle] = ['busy', 'idle'].map(job => ({
  ...groupOf(grouped[0] as Objective, 'job', job),
  groupBy: null,
  group: null,
}))
const source = samplesSource({ name: '', minutes: 60, series: [counter('busy', 1), counter('idle', 0)] })
const minutesOf = async (objectives: readonly Objective[], since?: number) => {
  const recorded = await readRecorded(source, objectives, { from: 0, to: 60, since })
  return recorded?.objectives.map(({ slots }) => slots.length)
}

test.each([
  ['a group', grouped],
  ['an objective', [perBusy, perIdle] as Objective[]],
])(
  '%s that never counted anything has no minutes, unless it is said since when it counts',
  async (_, objectives) => {
    expect(await minutesOf(objectives)).toEqual([60, 0])
    expect(await minutesOf(objectives, 10)).toEqual([50, 50])
  },
)

test('events before the given start of the SLO count as little as minutes', async () => {
  const ofEvents = { ...(perBusy as Objective), method: 'Occurrences' as const }
  expect(await minutesOf([perBusy as Objective, ofEvents], 10)).toEqual([50, 50])
})

test('an objective that is added later, and is named first, does not shorten the window of the others', async () => {
  const late = { ...counter('idle', 1), samples: counter('idle', 1).samples.slice(160) }
  const both = samplesSource({ name: '', minutes: 60, series: [counter('busy', 1), late] })
  const recorded = await readRecorded(both, [perIdle, perBusy] as Objective[], { from: 0, to: 60 })
  expect(recorded?.start).toBe(0)
})

test('a group has minutes for a day after the last that it counted, an objective for ever', async () => {
  const ends = async (objectives: readonly Objective[]) =>
    (await readRecorded(source, objectives, { from: 0, to: 3_000 }))?.objectives[0]?.tally.to
  expect(await ends(grouped)).toBe(59 + 1_440)
  expect(await ends([perBusy as Objective])).toBe(3_000)
})

test('an objective that cannot be read is named, and the others are returned; if none can be read, the first one’s error is thrown', async () => {
  const [busy, idle] = [perBusy, perIdle] as [Objective, Objective]
  const failing = (isAway: (sli: Sli) => boolean) => ({
    ...source,
    slots: async (sli: Sli, from: number, to: number) => {
      if (isAway(sli)) throw new SourceError('is away')
      return source.slots(sli, from, to)
    },
  })
  const read = (isAway: (sli: Sli) => boolean) =>
    readRecorded(failing(isAway), [idle, busy], { from: 0, to: 60 })
  const recorded = await read(sli => sli === idle.sli)
  expect(recorded?.objectives.map(({ objective }) => objective)).toEqual([busy])
  expect(recorded?.unread).toEqual([{ objective: idle, why: 'is away' }])
  await expect(read(() => true)).rejects.toThrow(`${idle.id}: is away`)
})

test('groups beyond the limit are reported', async () => {
  const labelValues = async () => Array.from({ length: limits.objectiveGroups.value + 7 }, (_, i) => `${i}`)
  const recorded = await readRecorded({ ...source, labelValues }, grouped, { from: 0, to: 60, since: 0 })
  expect(recorded?.objectives).toHaveLength(limits.objectiveGroups.value)
  expect(recorded?.leftOut).toEqual([{ objective: grouped[0], why: '7 values of job are too many' }])
})

test('groups that have ended take no place of others', async () => {
  const ended = Array.from({ length: limits.objectiveGroups.value }, (_, i) => `ended-${i}`)
  const labelValues = async (_: Sli, __: string, from: number) =>
    from < 1_000 ? [...ended, 'idle'] : ['idle']
  const recorded = await readRecorded({ ...source, labelValues }, grouped, { from: 0, to: 3_000, since: 0 })
  expect(recorded?.objectives).toHaveLength(limits.objectiveGroups.value)
  expect(recorded?.objectives[0]?.objective.group).toBe('idle')
  expect(recorded?.leftOut).toEqual([])
})

test('a grouped objective without a group is reported', async () => {
  const read = await readRecorded(
    { ...source, labelValues: async () => [] },
    [...grouped, perBusy as Objective],
    {
      from: 0,
      to: 60,
    },
  )
  expect(read?.leftOut).toEqual([{ objective: grouped[0], why: 'no value of job was seen' }])
})

test('an objective of events without a sample for an hour is silent; minutes are offline instead', async () => {
  const events = countedKinds.filter(({ name }) => name === 'bad-events')
  const silent = async (objectives: readonly Objective[], to: number) =>
    (await readRecorded(source, objectives, { from: 0, to }))?.objectives.map(each => each.silentSince)
  expect(await silent(events, 119)).toEqual([undefined])
  expect(await silent(events, 120)).toEqual([60])
  expect(await silent([perBusy as Objective], 120)).toEqual([undefined])
  const never = { ...perBusy, sli: groupOf(grouped[0] as Objective, 'job', 'no').sli } as Objective
  expect(await silent([perBusy as Objective, never], 90)).toEqual([undefined, 1])
  // Not since a time before anything was measured.
  const later = await readRecorded(source, [perBusy as Objective, never], { from: -600, to: 90 })
  expect(later?.objectives.map(each => each.silentSince)).toEqual([undefined, later?.start])
})

test('an objective of events is silent while more good events are counted than events', async () => {
  const [events] = countedKinds.filter(({ name }) => name === 'bad-events')
  const slots: Source['slots'] = async (_, from, to) =>
    Array.from({ length: to - from }, (_, i) => ({
      start: from + i,
      good: 2,
      total: i < 10 ? 2 : 1,
      unknown: false,
    }))
  const read = readRecorded({ ...source, slots }, [events as Objective], { from: 0, to: 100 })
  expect((await read)?.objectives[0]?.silentSince).toBe(10)
})

test('the time of the source is asked while its minutes are read, so that one that hangs costs its time once', async () => {
  const { promise: isRead, resolve } = Promise.withResolvers<void>()
  const both = {
    ...source,
    now: () => isRead.then(() => 30 * 60_000),
    slots: (...asked: Parameters<typeof source.slots>) => {
      resolve()
      return source.slots(...asked)
    },
  }
  const recorded = await readRecorded(both, [perBusy as Objective], { from: 0, to: 60 })
  expect(recorded?.objectives[0]?.slots).toHaveLength(30)
})
