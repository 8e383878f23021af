import { execFileSync, fork, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder, until } from '../test/support.ts'
import { limits } from './limits.ts'
import { sameSignalMs } from './terminal.ts'

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
    import { timesReached } from './limits.ts'
    import { outliveReaders } from './terminal.ts'
    outliveReaders()
    const line = 'x'.repeat(65536)
    for (let i = 0; i < 100; i++) process.stderr.write(line)
    for (let i = 0; i < 100; i++) process.emitWarning('a warning of Node '.repeat(1000))
    setTimeout(() => {
      const dropped = timesReached('unreadOutput')
      process.send({ dropped, kept: process.stderr.writableLength }, () => process.exit(7))
    })`)
  expect(found).toMatchObject({ code: 7 })
  const { dropped, kept } = (found as { message: Record<string, number> }).message
  expect(dropped).toBeGreaterThan(100)
  expect(kept).toBeLessThan(limits.unreadOutput.value + 2 ** 17)
})

/** A service with an IPC channel that stops when it is sent a message, once it is ready. */
async function startChild(env: NodeJS.ProcessEnv = {}) {
  const file = join(await temporaryFolder(), 'service.ts')
  writeFileSync(
    file,
    `import { run } from '${import.meta.dirname}/run.ts'
     const stop = () => new Promise(resolve => {
       process.send?.('stopping')
       process.on('message', message => message === 'finish' && resolve())
     })
     process.on('SIGTERM', () => process.send?.('SIGTERM'))
     await run(async () => ({ endpoints: {}, graceMs: 60_000, stop }))`,
  )
  const options = { execArgv: [], env: { ...process.env, ...env } }
  const child = fork(file, { ...options, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  const said: unknown[] = []
  child.on('message', message => said.push(message))
  let stderr = ''
  child.stderr?.on('data', chunk => {
    stderr += chunk
  })
  await once(child.stdout as Readable, 'data') // the ready line
  const says = (message: string, times = 1) =>
    Promise.race([
      until(() => said.filter(each => each === message).length === times, { what: message }),
      ended,
    ])
  return { child, ended, said, says, stderr: () => stderr }
}

test('a service under a launcher outlives the signals of log rotation, and finishes its stop when SIGTERM reaches it twice, as systemd and the launcher send it', async () => {
  const { child, ended, says, stderr } = await startChild()
  // As log rotation sends them: no debugger is opened, and nothing ends.
  for (const name of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) child.kill(name)
  for (let signals = 1; signals <= 2; signals++) {
    child.kill('SIGTERM')
    await says('SIGTERM', signals)
    const received = performance.now()
    await until(() => performance.now() - received > sameSignalMs, {
      what: 'a time at which it is another signal',
    })
    child.send('stop')
  }
  await says('stopping')
  child.send('finish')
  expect(await ended).toEqual([0, null])
  expect(stderr()).toBe('')
})

test('a service that systemd’s SIGTERM reaches as it reaches the launcher, which is slow to say so, waits for its turn: the log server ended before what it should receive', async () => {
  const { child, ended, said, says } = await startChild()
  child.kill('SIGTERM')
  await says('is it my turn?')
  const received = performance.now()
  await until(() => performance.now() - received > 2 * sameSignalMs, {
    what: 'a time at which it would stop',
  })
  expect(said.filter(each => each === 'stopping')).toEqual([])
  child.send('retire')
  child.send('stop')
  await says('stopping')
  child.send('finish')
  expect(await ended).toEqual([0, null])
})

test('a service under pm2 stops at its SIGINT: with a channel as of a launcher it ignored it and was killed', async () => {
  const { child, ended, says } = await startChild({ pm_id: '0' })
  child.kill('SIGINT')
  await says('stopping')
  child.send('finish')
  expect(await ended).toEqual([0, null])
})

test('a service whose launcher was killed while it loaded its modules does not outlive it', async () => {
  const file = join(await temporaryFolder(), 'service.ts')
  writeFileSync(
    file,
    `await new Promise(resolve => process.once('disconnect', resolve))
     const { run } = await import('${import.meta.dirname}/run.ts')
     await run(async () => {
       setInterval(() => {}, 1_000)
       return { endpoints: {}, graceMs: 60_000, stop: async () => {} }
     })`,
  )
  const child = fork(file, { execArgv: [] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  child.disconnect()
  expect(await ended).toEqual([0, null])
})
