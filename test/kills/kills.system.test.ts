import { expect, test } from 'vitest'
import { campaign } from './campaign.ts'

/** Kills web, converter, children and everything at once; `npm run kills` tries other seeds. */
const [seed, trials] = [2, 5]

test('kill -9 of anybody under load loses nothing and doubles nothing', { timeout: 900_000 }, async () => {
  const { lost, duplicated, findings, acknowledged } = await campaign(trials, seed)
  expect(findings).toEqual([])
  expect({ lost, duplicated }).toEqual({ lost: 0, duplicated: 0 })
  expect(acknowledged).toBeGreaterThan(5)
})
