import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { ownFolder } from './own.ts'

/** What another process gets for the folder. */
const elsewhere = (folder: string) =>
  execFileSync(process.execPath, [
    '--input-type=module',
    '-e',
    `import { ownFolder } from ${JSON.stringify(import.meta.resolve('./own.ts'))}
    process.stdout.write(typeof ownFolder(${JSON.stringify(folder)}))`,
  ]).toString()

test('a folder stays owned when its process asks for it again, as the search for orphaned journals does', async () => {
  const folder = await temporaryFolder()
  const release = ownFolder(folder)
  expect(ownFolder(folder)).toBe('taken')
  expect(elsewhere(folder)).toBe('string')
  if (release !== 'taken') release()
  expect(elsewhere(folder)).toBe('function')
})
