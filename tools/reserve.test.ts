import fs, { existsSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../test/support.ts'
import { freeReserve, keepReserve } from './reserve.ts'

test('a disk whose transfers are larger than its blocks, as virtiofs, gives its reserve to a start that needs it', async () => {
  const folder = await temporaryFolder()
  const { statfsSync } = fs
  onTestFinished(() => {
    Object.assign(fs, { statfsSync })
    syncBuiltinESMExports()
  })
  const haveFree = (bytes: number) => {
    const disk = { ...statfsSync(folder), bsize: 2 ** 20, frsize: 4096, bavail: bytes / 4096 }
    Object.assign(fs, { statfsSync: () => disk })
    syncBuiltinESMExports()
  }
  const isKept = () => existsSync(join(folder, 'reserve'))
  haveFree(12 * 2 ** 20)
  keepReserve(folder)
  expect(isKept()).toBe(false)
  haveFree(20 * 2 ** 20)
  keepReserve(folder)
  expect(isKept()).toBe(true)
  haveFree(2 ** 20)
  freeReserve(folder)
  expect(isKept()).toBe(false)
})
