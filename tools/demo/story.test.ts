import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { State } from '../../slo/page/api.ts'
import { busy, changes, chooseLesson, lessons, type Seen, seenIn } from './story.ts'

const well: Seen = { good: 90, broken: 0, left: 1, oneIn: 100, firing: [], verdict: 'healthy', action: '' }
const truth = ['wait no-workers']

test('the narration says what became different: burn, alert, verdict, and their end', () => {
  const told = ['healthy']
  const firing = ['latency page-fast']
  const verdict = { verdict: 'wait no-workers', action: 'start converters' }
  const bad: Seen = { ...well, broken: 12, left: 0.25, firing, ...verdict }
  expect(changes(well, bad, told, truth)).toEqual([
    'burn      12 more photos late, 12 of 102: 25 % of the budget left',
    'alert     latency page-fast fires: with ALERT_WEBHOOK_URL set, a person would be paged now',
    'verdict   slow in wait, because of no-workers. Do: start converters',
  ])
  expect(changes(bad, bad, told, truth)).toEqual([])
  const healed = { ...bad, good: 120, firing: [], verdict: 'healthy', action: '' }
  expect(changes(bad, healed, told, truth)).toEqual([
    'kept      30 more photos in time, none late',
    'alert     latency page-fast has ended',
    'verdict   healthy: no stage takes longer than it did',
  ])
  expect(changes(healed, { ...healed, broken: 13, left: 0 }, told, truth)).toEqual([
    'burn      1 more photo late, 13 of 133: the budget of 1 in 100 is used up',
  ])
})

test('a verdict that changes from look to look is not told, and the action of each only once', () => {
  const told = ['wait no-workers']
  const cpu: Seen = { ...well, verdict: 'convert cpu', action: 'find who else uses it' }
  const unexplained: Seen = { ...well, verdict: 'receive' }
  expect(changes(well, cpu, told, truth)).toEqual([])
  expect(changes(cpu, unexplained, told, truth)).toEqual([])
  expect(changes(cpu, cpu, told, truth)).toEqual([
    'verdict   slow in convert, because of cpu. Do: find who else uses it',
  ])
  expect(changes(unexplained, unexplained, told, truth)).toEqual([
    'verdict   slow in receive, and no metric says why',
  ])
  expect(changes(cpu, cpu, told, truth)).toEqual(['verdict   slow in convert, because of cpu, again'])
})

test('a verdict with a cause and without a slow stage says that no stage is slow', () => {
  const away: Seen = { ...well, verdict: 'healthy dependency-away', action: 'start it' }
  expect(changes(away, away, ['healthy'], truth)).toEqual([
    'verdict   no stage is slow, but: dependency-away. Do: start it',
  ])
})

test('a machine is busy when twice as much wants to run as it has processors', () => {
  expect(busy(4, 2)).toBe('')
  expect(busy(43.6, 2)).toBe('this machine is busy with other work (load 44 on 2 processors)')
})

test('each lesson of docs/slow.md is one, and needs nothing that is not installed', () => {
  const slow = readFileSync(join(import.meta.dirname, '../../docs/slow.md'), 'utf8')
  const taught = new Set([...slow.matchAll(/--only "([^"]+)"/g)].map(([, name]) => name))
  expect(Object.keys(lessons).toSorted()).toEqual([...taught].toSorted())
  for (const name of Object.keys(lessons)) {
    const { missing } = chooseLesson(name)
    expect({ name, missing }).toEqual({ name, missing: undefined })
  }
})

test('a fault is chosen by a part of its name; one that fits none or several is refused with the list', () => {
  expect(chooseLesson().name).toBe('no converter')
  expect(chooseLesson('thumbnail').name).toBe('slow thumbnail store')
  for (const part of ['slow', 'nonsense']) expect(() => chooseLesson(part)).toThrow(/one of no converter, /)
})

test('every tier that would call a person is an alert of the story, and no ticket is', () => {
  const tiers = ['page-fast', 'page-slow', 'ticket-fast'].map(name => ({
    name,
    firing: name !== 'page-fast',
  }))
  const state = { objectives: [{ name: 'latency', unit: 'photos', tiers }], diagnosis: null }
  expect(seenIn(state as unknown as State).firing).toEqual(['latency page-slow'])
})
