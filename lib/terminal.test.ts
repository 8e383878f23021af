import { execFileSync, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../test/support.ts'
import { limits } from './limits.ts'

/** Runs a module's text with the reading end of its standard error open, and never read; gives what it sends by IPC. */
async function unread(text: string): Promise<unknown> {
  const file = join(await temporaryFolder(), 'pipe')
  execFileSync('mkfifo', [file])
  const reader = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(file, 'w')
  const stdio: StdioOptions = ['ignore', 'ignore', writer, 'ipc']
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    stdio,
    cwd: import.meta.dirname,
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  closeSync(writer)
  const [message] = await once(child, 'message')
  closeSync(reader)
  const [code] = await once(child, 'exit')
  return { message, code }
}

test('output that is not read is kept up to its limit and then dropped and counted; nothing waits for it', async () => {
  const found = await unread(`
    import { limitsReached } from './limits.ts'
    import { outliveReaders } from './terminal.ts'
    outliveReaders()
    const line = 'x'.repeat(65536)
    for (let i = 0; i < 100; i++) process.stderr.write(line)
    for (let i = 0; i < 100; i++) process.emitWarning('a warning of Node '.repeat(1000))
    setTimeout(() => {
      const dropped = limitsReached.get('unreadOutput')
      process.send({ dropped, kept: process.stderr.writableLength }, () => process.exit(7))
    })`)
  expect(found).toMatchObject({ code: 7 })
  const { dropped, kept } = (found as { message: Record<string, number> }).message
  expect(dropped).toBeGreaterThan(100)
  expect(kept).toBeLessThan(limits.unreadOutput.value + 2 ** 17)
})
