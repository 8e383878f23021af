import { expect, test } from 'vitest'
import { choose, inTurns } from './choose.ts'
import { drills } from './drills/all.ts'
import { simulated } from './drills/simulated.ts'
import { baselineScrapes, faultScrapes } from './run.ts'

const names = (those: readonly { name: string }[]) => those.map(({ name }) => name).toSorted()

test('the drills are those seen and those kept aside, a third or more', () => {
  const [seen, kept] = [choose(['--seen']).chosen, choose(['--kept']).chosen]
  expect(names([...seen, ...kept])).toEqual(names(drills))
  expect(new Set(names(drills)).size).toBe(drills.length)
  expect(kept.length).toBeGreaterThanOrEqual(drills.length / 3)
})

test('each drill has one right answer, or several and a reason; a third of the simulated ones is kept aside', () => {
  for (const { name, truth, why } of [...drills, ...simulated])
    expect(truth.length === 1 || why, name).toBeTruthy()
  expect(simulated.filter(({ kept }) => kept).length).toBeGreaterThanOrEqual(simulated.length / 3)
})

test('every drill gets its turn, at most two at once, and alone who takes the processors', () => {
  const turns = inTurns(drills)
  expect(names(turns.flat())).toEqual(names(drills))
  for (const turn of turns) {
    expect(turn.length).toBeLessThanOrEqual(2)
    if (turn.length > 1) expect(turn.every(({ alone }) => !alone)).toBe(true)
  }
})

test('the whole campaign takes at most 40 minutes', () => {
  // Of a service that starts, stops and is asked, measured on two cores.
  const aroundSeconds = 12
  const seconds = inTurns(drills).map(
    turn => aroundSeconds + baselineScrapes + Math.max(...turn.map(({ scrapes = faultScrapes }) => scrapes)),
  )
  expect(seconds.reduce((a, b) => a + b) / 60).toBeLessThanOrEqual(40)
})

test('what is no drill or no argument is said', () => {
  expect(() => choose(['--only', 'nothing of that name'])).toThrow('no drill')
  expect(() => choose(['--wrong'])).toThrow('--wrong')
})
