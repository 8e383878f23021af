import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { endOf } from './plan.ts'
import { openRecord } from './record.ts'
import { type Release, release } from './run.ts'

test('a release whose launcher ended does not claim that everybody is on the old version: nobody is served', async () => {
  const dataDir = await temporaryFolder()
  const said: string[] = []
  const ended = async () => Promise.reject(new Error('the launcher has ended'))
  const outcome = await release({
    launcher: { ask: ended, close() {} },
    record: openRecord(dataDir, 'canary', 'v1', 'v2'),
    oldVersion: 'v1',
    show: line => said.push(line),
    signal: new AbortController().signal,
  } as Partial<Release> as Release)
  expect(outcome).toBe('rolled back')
  expect(said.join('\n')).not.toContain('Everybody is on v1')
  expect(said.join('\n')).toContain('v1 may not serve everybody: the launcher has ended')
})

test('a step that takes longer than the patience for a verdict is not inconclusive because of it', () => {
  const pace = { stepSeconds: 3_600, patienceSeconds: 1_800 }
  const ends = (verdict: string) => [1_801, 3_600, 3_601].map(seconds => endOf(verdict, seconds, pace))
  expect(ends('good')).toEqual([undefined, 'good', 'good'])
  expect(ends('waiting')).toEqual([undefined, undefined, 'inconclusive'])
})
