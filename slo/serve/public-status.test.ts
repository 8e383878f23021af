import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { tally } from '../math/sli.ts'
import { toMinute } from '../math/time.ts'
import type { Objective } from '../sources/index.ts'
import { statusOf } from './public-status.ts'
import { viewOf } from './view.ts'

const slices = readDirectory().objectives.find(({ method }) => method === 'Timeslices') as Objective
const at = toMinute(Date.now())

/** An objective about minutes, of the last hundred of which so many were offline, the present one among them. */
function lost(minutes: number) {
  const objective = { ...slices, sli: { ...slices.sli } }
  const slots = Array.from({ length: 100 }, (_, i) => {
    const good = i < 100 - minutes ? 1 : 0
    return { start: at - 100 + i, good, total: 1, unknown: false }
  })
  const recorded = { objective, slots, tally: tally(objective, at - 100, slots), begun: at - 100 }
  return viewOf(recorded, at - 100, at)
}

test('while one of several objectives about minutes is offline the status is, with the least budget', () => {
  const views = [lost(0), lost(7)]
  const seenMs = Date.now() - 240_000
  expect(statusOf(views, seenMs)).toMatchObject({ online: false, budgetLeftMinutes: 53 })
  expect(statusOf(views.slice(0, 1), seenMs)).toMatchObject({ online: true, budgetLeftMinutes: 60 })
  // As two groups of an objective of events are.
  const groups = [lost(3), lost(5)].map(each => ({
    ...each,
    objective: { ...each.objective, method: 'Occurrences' as const },
  }))
  expect(statusOf([...views, ...groups], seenMs)).toMatchObject({ keptRatio: 0.95 })
  expect(statusOf(groups, seenMs)).toMatchObject({ online: null, budgetMinutes: null, keptRatio: 0.95 })
  // As in a report, what had no sample for an hour is not known.
  const silent = groups.map(each => ({ ...each, silentSince: at - 60 }))
  expect(statusOf(silent, seenMs)).toMatchObject({ keptRatio: null })
})

test('a status is as old as the last measurement that could be read', () => {
  expect(statusOf([lost(0)], Date.UTC(2026, 0, 1))).toMatchObject({ at: '2026-01-01T00:00:00.000Z' })
})
