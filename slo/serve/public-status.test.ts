import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { tally } from '../math/sli.ts'
import { toMinute } from '../math/time.ts'
import type { Objective, Source } from '../sources/index.ts'
import { readStatus } from './public-status.ts'
import { viewOf } from './view.ts'
import type { Watch } from './watch.ts'

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

test('while one of several objectives about minutes is offline the status is, with the least budget', async () => {
  const views = [lost(0), lost(7)]
  const slots: Source['slots'] = async sli => {
    const found = views.find(({ objective }) => objective.sli === sli)
    return found?.slots.slice(-2) ?? []
  }
  const source = { now: async () => Date.now(), slots } as Partial<Source> as Source
  const statusOf = (shown: typeof views) => readStatus({ views: () => shown } as unknown as Watch, source)
  expect(await statusOf(views)).toMatchObject({ online: false, budgetLeftMinutes: 53 })
  expect(await statusOf(views.slice(0, 1))).toMatchObject({ online: true, budgetLeftMinutes: 60 })
  // As two groups of an objective of events are.
  const groups = [lost(3), lost(5)].map(each => ({
    ...each,
    objective: { ...each.objective, method: 'Occurrences' as const },
  }))
  expect(await statusOf([...views, ...groups])).toMatchObject({ keptRatio: 0.95 })
})
