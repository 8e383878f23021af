import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'
import { live } from '../test/incident.ts'
import { calm, type World } from '../test/world.ts'
import { diagnose } from './diagnose.ts'
import { modelOf } from './model.ts'

const stepMs = 15_000
const model = modelOf(readDirectory().service)
/** An hour of calm; then the world of a second since the fault. */
const verdictAt = (seconds: number, during: (second: number) => Partial<World>) => {
  const series = live({
    seconds: 3_600 + seconds,
    stepMs,
    world: second => (second > 3_600 ? during(second - 3_600) : {}),
  })
  const burning = {
    incidents: [{ fromMs: 3_600_000, toMs: Number.POSITIVE_INFINITY }],
    now: ['availability'],
  }
  return diagnose(model, series, { atMs: 3_600_000 + seconds * 1000, stepMs, burning })
}

test('a stage that is slow for two scrapes is not named yet, and one that stays slow is', () => {
  const slowNames = () => ({ probe: { ...calm().probe, dns: 2 } })
  for (const seconds of [15, 30]) {
    const { verdict, remarks } = verdictAt(seconds, slowNames)
    expect(verdict).toBe('unknown')
    expect(remarks).toEqual(['receive became slow within the last 90 s, too short a time to say why'])
  }
  expect(verdictAt(60, slowNames)).toMatchObject({ verdict: 'receive', cause: 'dns' })
})

test('a stage that nothing explains is named after a whole window, not before', () => {
  const slowStore = () => ({ unexplained: 1 })
  expect(verdictAt(120, slowStore).verdict).toBe('unknown')
  expect(verdictAt(240, slowStore)).toMatchObject({ verdict: 'store', cause: null })
})

test('while the backlog of a stall is worked off, the queue is not named as stalled', () => {
  const stalled = (second: number) => (second <= 300 ? { claims: false } : {})
  for (let seconds = 315; seconds <= 480; seconds += 15)
    expect(verdictAt(seconds, stalled).cause, `${seconds} s`).toBeNull()
})

test('what was slow is not named once a converter that hung is replaced and no photo waits', () => {
  const hung = (second: number) => (second <= 300 ? { claims: false } : {})
  expect(verdictAt(290, hung)).toMatchObject({ verdict: 'wait', cause: 'queue-stalled' })
  for (const seconds of [480, 510, 540, 570])
    expect(verdictAt(seconds, hung)).toMatchObject({ verdict: 'unknown', cause: null })
})
