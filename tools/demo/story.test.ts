import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { changes, chooseLesson, lessons, type Seen } from './story.ts'

const well: Seen = { good: 90, broken: 0, left: 1, firing: [], verdict: 'healthy', action: '' }

test('the narration says what became different: burn, alert, verdict, and their end', () => {
  const firing = ['latency page-fast']
  const verdict = { verdict: 'wait no-workers', action: 'start converters' }
  const bad: Seen = { ...well, broken: 12, left: 0.25, firing, ...verdict }
  expect(changes(well, bad)).toEqual([
    'burn      12 more promises broken, 90 kept; 25 % of the budget left',
    'alert     latency page-fast fires: a person is called, where ALERT_WEBHOOK_URL says',
    'verdict   slow in wait, because of no-workers. Do: start converters',
  ])
  expect(changes(bad, bad)).toEqual([])
  expect(changes(bad, { ...bad, good: 120, firing: [], verdict: 'healthy', action: '' })).toEqual([
    'kept      30 more promises kept, none broken',
    'alert     latency page-fast has ended',
    'verdict   healthy: no stage takes longer than it did',
  ])
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
