import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { inherited } from '../tools/service.ts'
import { heavy, startList } from './loaded.ts'
import { temporaryFolder } from './support.ts'

test('a converter’s child loads no storage, neither that of a folder nor the SDK of a bucket', async () => {
  const { hook, loadedBy } = await startList(await temporaryFolder())
  const setup = JSON.stringify({ sizes: [{ side: 64, format: 'jpg' }], maxPixels: 1e6 })
  const started = fork(join(import.meta.dirname, '../services/converter/child.ts'), [setup], {
    env: inherited(),
    execArgv: ['--import', hook],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  onTestFinished(() => void started.kill('SIGKILL'))
  await Promise.race([once(started, 'message'), once(started, 'exit')])
  const loaded = await loadedBy('child.ts')
  expect(loaded.some(each => /converter\/convert\.ts$/.test(each))).toBe(true)
  expect(loaded.filter(each => heavy.test(each) || /lib\/storage\//.test(each))).toEqual([])
})
