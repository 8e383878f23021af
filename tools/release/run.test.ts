import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { openRecord } from './record.ts'
import { type Release, release } from './run.ts'

test('a release whose launcher ends does not say that everybody is on the old version: nobody is served', async () => {
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
