import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { judgeAll } from '../math/report.ts'
import { total } from '../math/sli.ts'
import { toIso } from '../math/time.ts'
import { unknownSlots } from '../sources/counter.ts'
import type { Minute, Source } from '../sources/index.ts'
import { readRecorded } from '../sources/recorded.ts'
import { countedKinds } from '../test/kinds.ts'
import type { Diagnoser } from './diagnosis.ts'
import { openEvaluations } from './evaluations.ts'
import { stateOf } from './state.ts'

const now = 30_000_000

/** Groups that counted from a minute on, with the last samples at `to`. */
const counting = (began: Record<string, number>, to = Infinity): Source => {
  const jobOf = (sli: unknown) => /job=\\"(\w+)\\"/.exec(JSON.stringify(sli))?.[1] ?? ''
  return {
    labelValues: async () => Object.keys(began),
    now: async () => to * 60_000,
    seenBefore: async (sli, minute) => (began[jobOf(sli)] ?? 0) < minute,
    slots: async (sli, from, until) =>
      Array.from({ length: until - from }, (_, i) => {
        const counted = from + i >= (began[jobOf(sli)] ?? 0) && from + i < to
        return { start: from + i, good: counted ? 4 : 0, total: counted ? 4 : 0, unknown: !counted }
      }),
    series: async () => [],
    close: async () => {},
  }
}

const groupedSlices = countedKinds.filter(({ name }) => name === 'grouped-slices')
const noDiagnosis = { found: () => null, detail: () => null } as unknown as Diagnoser
const noStore = { get: () => undefined, set: () => {} }

test('a group whose first minute was an hour ago was not offline before', async () => {
  const evaluations = openEvaluations(groupedSlices, counting({ old: 0, young: now - 60 }), noStore)
  await evaluations.read(now)
  const views = await evaluations.viewsAt(now)
  expect(views.map(({ objective, standing }) => [objective.group, standing.good, standing.bad])).toEqual([
    ['old', 1440, 0],
    ['young', 60, 0],
  ])
  expect(views.flatMap(({ firings }) => firings)).toEqual([])
})

test('minutes that a late clock of the source has not reached are not offline', async () => {
  const evaluations = openEvaluations(groupedSlices, counting({ old: 0 }, now - 5), noStore)
  await evaluations.read(now)
  const [view] = await evaluations.viewsAt(now)
  expect([view?.at, view?.standing.good, view?.standing.bad]).toEqual([now - 5, 1440, 0])
})

test('events before the first minute of the SLO are in no window, as in a report', async () => {
  const objectives = readDirectory().objectives
  const source: Source = {
    ...counting({}),
    seenBefore: async () => false,
    slots: async (sli, from, until) =>
      unknownSlots(from, until).map(each => {
        const isProbed = JSON.stringify(sli).includes('probe') && each.start >= now - 60
        const isEvent = !JSON.stringify(sli).includes('probe') && each.start >= now - 180
        const total = isProbed || isEvent ? 4 : 0
        const good = isProbed || each.start >= now - 90 ? total : 0
        return { ...each, good, total, unknown: total === 0 }
      }),
  }
  const evaluations = openEvaluations(objectives, source, noStore)
  await evaluations.read(now)
  const views = await evaluations.viewsAt(now)
  const recorded = await readRecorded(source, objectives, { from: now - 2880, to: now })
  const reported = judgeAll(recorded as NonNullable<typeof recorded>, undefined)
  expect(views.map(({ standing }) => standing)).toEqual(reported.map(({ standing }) => standing))
  expect(views.map(({ standing }) => [standing.good, standing.bad])).toEqual([
    [60, 0],
    [240, 0],
  ])
})

test('events without a sample for an hour cannot be judged', async () => {
  const events = countedKinds.filter(({ name }) => name === 'bad-events')
  const until = async (to: number) => {
    const source = { ...counting({}, to), now: async () => now * 60_000 }
    const evaluations = openEvaluations(events, source, noStore)
    await evaluations.read(now)
    const views = await evaluations.viewsAt(now)
    const directory = { ...readDirectory(), objectives: events }
    const state = stateOf({ views, now: now * 60_000, seenMs: 0 }, noDiagnosis, [], directory)
    return [...evaluations.unread().values(), state.objectives.map(({ silentSince }) => silentSince)]
  }
  expect(await until(now - 59)).toEqual([[null]])
  const hourAgo = toIso(now - 60)
  expect(await until(now - 60)).toEqual([
    expect.stringContaining('No sample could be counted since'),
    [hourAgo],
  ])
})

test('minutes without events whose samples come late are not silent', async () => {
  const events = countedKinds.filter(({ name }) => name === 'bad-events')
  let to = now
  const slots: Source['slots'] = async (_sli, from, until) =>
    Array.from({ length: until - from }, (_, i) => {
      const total = from + i < now ? 4 : 0
      return { start: from + i, good: total, total, unknown: from + i >= to - 3 }
    })
  const source = { ...counting({}), now: async () => to * 60_000, slots }
  const evaluations = openEvaluations(events, source, noStore)
  for (; to < now + 70; to++) await evaluations.read(to)
  expect([...evaluations.unread().values()]).toEqual([])
})

test('minutes that were counted are not offline when the source has lost its samples since', async () => {
  const source = counting({ old: 0 })
  let seen = source
  const forgetful: Source = {
    ...source,
    slots: (...asked) => seen.slots(...asked),
    labelValues: (...asked) => seen.labelValues(...asked),
  }
  const evaluations = openEvaluations(groupedSlices, forgetful, noStore)
  await evaluations.read(now)
  seen = { ...counting({ old: now }), labelValues: async () => [] }
  await evaluations.read(now + 1)
  const [view] = await evaluations.viewsAt(now + 1)
  expect([view?.standing.good, view?.standing.bad]).toEqual([1440, 0])
})

test.each([
  [60, 4 * 180],
  [180, 2 + 4 * 129], // the minute in which the outage began, and the minutes that were read again
])('samples that come after an outage of %d minutes are counted', async (minutes, events) => {
  const objectives = countedKinds.filter(({ name }) => name === 'bad-events')
  /** The samples up to the middle of this minute were sent. */
  let sent = now - minutes
  const source: Source = {
    ...counting({}),
    slots: async (_sli, from, to) =>
      Array.from({ length: to - from }, (_, i) => {
        const count = from + i < sent ? 4 : from + i === sent ? 2 : 0
        return { start: from + i, good: count, total: count, unknown: count === 0 }
      }),
  }
  const evaluations = openEvaluations(objectives, source, noStore)
  const counted = async (at: Minute) => {
    await evaluations.read(at)
    const [view] = await evaluations.viewsAt(at)
    return view && total(view.tally, now - 180, now)
  }
  expect(await counted(now)).toBe(2 + 4 * (180 - minutes))
  sent = now - 50
  await counted(now + 1)
  sent = now + 9
  expect(await counted(now + 10)).toBe(events)
})

test('samples of one of two agents that come an hour late are counted, and only each tenth read is of two hours', async () => {
  const objectives = countedKinds.filter(({ name }) => name === 'bad-events')
  let late = now - 60
  const read: Minute[] = []
  const source: Source = {
    ...counting({}),
    slots: async (_sli, from, to) => {
      read.push(to - from)
      return Array.from({ length: to - from }, (_, i) => {
        const total = from + i < late ? 8 : from + i < now - 30 ? 4 : 0
        return { start: from + i, good: total, total, unknown: total === 0 }
      })
    },
  }
  const evaluations = openEvaluations(objectives, source, noStore)
  await evaluations.read(now)
  late = now
  for (let at = now + 1; at <= now + 20; at++) await evaluations.read(at)
  const [view] = await evaluations.viewsAt(now + 20)
  expect(view && total(view.tally, now - 60, now)).toBe(8 * 60)
  expect(read.filter(minutes => minutes > 60)).toHaveLength(1 + 2)
})

test('of samples that come late, good events may come after the total', async () => {
  let [sent, good] = [now - 60, now - 60]
  const source: Source = {
    ...counting({ old: 0 }),
    slots: async (_sli, from, to) =>
      Array.from({ length: to - from }, (_, i) => from + i).map(start => {
        const total = start < sent ? 4 : 0
        return { start, good: start < good ? total : 0, total, unknown: total === 0 }
      }),
  }
  const evaluations = openEvaluations(groupedSlices, source, noStore)
  await evaluations.read(now - 1)
  await evaluations.read(now)
  sent = now + 20
  await evaluations.read(now + 10)
  expect((await evaluations.viewsAt(now)).map(({ standing }) => standing.bad)).toEqual([60])
  good = now + 20
  await evaluations.read(now + 20)
  expect((await evaluations.viewsAt(now + 20)).map(({ standing }) => standing.bad)).toEqual([0])
})

test('a source that does not answer is not asked further, as each question takes its whole time', async () => {
  const asked: string[] = []
  const away = (what: string) => async () => {
    asked.push(what)
    throw new Error('did not answer')
  }
  const source = { ...counting({}), slots: away('slots'), seenBefore: away('seenBefore') }
  const ungrouped = countedKinds.filter(({ name }) => name === 'bad-events')
  expect(await openEvaluations(ungrouped, source, noStore).read(now)).toContain('did not answer')
  expect(asked).toEqual(['slots'])
})
