import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { tally } from '../math/sli.ts'
import type { Objective } from '../sources/index.ts'
import type { Diagnoser } from './diagnosis.ts'
import { stateOf } from './state.ts'
import { viewOf } from './view.ts'

const minute = Math.floor(Date.now() / 60_000)

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
  const diagnosis = { found: () => null } as unknown as Diagnoser
  // Four windows of twelve scrapes: three to compare with, and the one that is looked at.
  const from = new Date((start + 12) * 60_000).toISOString()
  const now = Date.now()
  expect(stateOf({ views: [view], now, seenMs: now }, diagnosis, [], directory).comparesFrom).toBe(
    says ? from : null,
  )
})
