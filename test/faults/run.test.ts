import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { runDrill } from './run.ts'

test('a drill that is stopped undoes what it did and removes its folder: Ctrl-C left disks in memory mounted', async () => {
  let [folder, isUndone] = ['', false]
  const drill = {
    name: 'nothing',
    truth: ['healthy'],
    prepare(lab: { folder: string; onEnd(end: () => unknown): void }) {
      folder = lab.folder
      lab.onEnd(() => {
        isUndone = existsSync(folder)
      })
      return { inject() {} }
    },
  }
  const stopped = runDrill(drill, [], { signal: AbortSignal.abort(new Error('stopped')) })
  await expect(stopped).rejects.toThrow('stopped')
  expect(isUndone).toBe(true)
  expect(existsSync(folder)).toBe(false)
})
