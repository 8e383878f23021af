import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { tally } from '../math/sli.ts'
import type { Objective } from '../sources/index.ts'
import type { Diagnoser } from './diagnosis.ts'
import { stateOf } from './state.ts'
import { viewOf } from './view.ts'

const minute = Math.floor(Date.now() / 60_000)
const diagnosis = { found: () => null, detail: () => null } as unknown as Diagnoser

test.each<[number, boolean]>([
  [1, true],
  [20, false],
])('a service that began %i minutes ago says from when it can be compared: %s', (minutesAgo, says) => {
  const directory = readDirectory()
  const [objective] = directory.objectives as [Objective]
  const start = minute - minutesAgo
  const view = viewOf(
    { objective, slots: [], tally: tally(objective, start, []), begun: start },
    start,
    minute,
  )
  // Four windows of twelve scrapes: three to compare with, and the one that is looked at.
  const from = new Date((start + 12) * 60_000).toISOString()
  const now = Date.now()
  expect(stateOf({ views: [view], now, seenMs: now }, diagnosis, [], directory).comparesFrom).toBe(
    says ? from : null,
  )
})

test('an objective that has not begun is on the time axis of the others, also while their samples come late', () => {
  const directory = readDirectory()
  const [begun] = directory.objectives as [Objective]
  const slots = [{ start: minute - 4, good: 1, total: 1, unknown: false }]
  const late = { objective: begun, slots, tally: tally(begun, minute - 4, slots), begun: minute - 4 }
  const views = [viewOf(late, minute - 4, minute - 3)]
  const now = minute * 60_000
  const { objectives } = stateOf({ views, now, seenMs: now }, diagnosis, [], directory)
  expect(objectives).toHaveLength(2)
  expect(new Set(objectives.map(({ to }) => to)).size).toBe(1)
  expect(new Set(objectives.map(({ strip }) => strip.from)).size).toBe(1)
})
