import { expect, test } from 'vitest'
import type { Source } from '../sources/index.ts'
import { countedKinds } from '../test/kinds.ts'
import { openEvaluations } from './evaluations.ts'

const now = 30_000_000

test('a group whose first minute was an hour ago was not offline before', async () => {
  const began: Record<string, number> = { old: 0, young: now - 60 }
  const jobOf = (sli: unknown) => /job=\\"(\w+)\\"/.exec(JSON.stringify(sli))?.[1] ?? ''
  const source: Source = {
    labelValues: async () => Object.keys(began),
    seenBefore: async (sli, minute) => (began[jobOf(sli)] ?? 0) < minute,
    slots: async (sli, from, to) =>
      Array.from({ length: to - from }, (_, i) => {
        const counted = from + i >= (began[jobOf(sli)] ?? 0)
        return { start: from + i, good: counted ? 4 : 0, total: counted ? 4 : 0, unknown: !counted }
      }),
    series: async () => [],
    close: async () => {},
  }
  const grouped = countedKinds.filter(({ name }) => name === 'grouped-slices')
  const evaluations = openEvaluations(grouped, source, { get: () => undefined, set: () => {} })
  await evaluations.read(now)
  const views = evaluations.viewsAt(now)
  expect(views.map(({ objective, standing }) => [objective.group, standing.good, standing.bad])).toEqual([
    ['old', 1440, 0],
    ['young', 60, 0],
  ])
  expect(views.flatMap(({ firings }) => firings)).toEqual([])
})
