import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { sameSignalMs } from '@tintype/lib/terminal.ts'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder, until } from '../test/support.ts'
import { inherited } from './service.ts'
import { type Hooks, supervise } from './supervise.ts'

/** A process whose /livez answers 200 so many times, then 503 with the reason. */
const stuckAfter = (answers: number) => `
  import { createServer } from 'node:http'
  let left = ${answers}
  const server = createServer((request, response) => {
    response.statusCode = left-- > 0 ? 200 : 503
    response.end('the loop has not moved for 61 s')
  })
  server.listen(0, '127.0.0.1', () =>
    console.log(JSON.stringify({ ready: { webAdmin: 'http://127.0.0.1:' + server.address().port } })))
  process.on('disconnect', () => process.exit())
  process.on('SIGTERM', () => process.exit())`

type Watched = { onReady?: Hooks['onReady']; log?: Partial<Log>; stopMs?: number }
/** Short checks, so that a test does not wait for those of the service. */
const impatient = { everyMs: 20, failures: 3, startMs: 60_000 }

/** Supervises a process with this source. It is stopped when the test ends. */
async function superviseSource(source: string, watched: Watched = {}, liveness?: typeof impatient) {
  const file = join(await temporaryFolder(), 'service.mjs')
  writeFileSync(file, source)
  const web = supervise(
    { name: 'web', script: relative(join(import.meta.dirname, '..'), file), args: [] },
    {
      environment: () => ({ ...inherited(), OTEL_SDK_DISABLED: 'true' }),
      onReady: watched.onReady ?? (() => {}),
      log: { error: () => {}, warn: () => {}, ...watched.log } as Log,
      stopMs: watched.stopMs ?? 30_000,
    },
    liveness,
  )
  onTestFinished(() => web.stop())
  return web
}

test('a process that lives and no longer moves is ended and started again, with the reason in the log', async () => {
  const said: { event: string; facts: unknown }[] = []
  const note = (event: string, facts: unknown) => void said.push({ event, facts })
  let starts = 0
  const watched = { onReady: () => void starts++, log: { error: note, warn: note } }
  const web = await superviseSource(stuckAfter(2), watched, impatient)
  await web.ready
  await until(() => starts > 1, { what: 'another start' })
  expect(said[0]).toEqual({
    event: 'process.stuck',
    facts: { process: 'web', why: 'the loop has not moved for 61 s' },
  })
  expect(said[1]).toMatchObject({ event: 'process.ended', facts: { how: 'SIGKILL' } })
})

test('a process is started again also when its addresses cannot be written', async () => {
  const said: string[] = []
  let starts = 0
  const web = await superviseSource(stuckAfter(1_000), {
    onReady() {
      if (++starts > 1) throw new Error('ENOSPC: no space left on device')
    },
    log: { error: event => void said.push(event) },
  })
  await web.ready
  for (const next of [2, 3]) {
    process.kill(web.pid() as number, 'SIGKILL')
    await until(() => starts === next, { what: `start ${next}` })
  }
  expect(said).toEqual(['process.not-announced', 'process.not-announced'])
})

test('a launcher without a free file descriptor tries again: it ended, and every service with it', async () => {
  const ends: unknown[] = []
  let starts = 0
  const web = await superviseSource(stuckAfter(1_000), {
    onReady: () => void starts++,
    log: { warn: (_event, facts) => void ends.push(facts) },
  })
  await web.ready
  const taken: number[] = []
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch {
    process.kill(web.pid() as number, 'SIGKILL')
  }
  await until(() => ends.length > 1, { what: 'a start without descriptors' })
  for (const each of taken) closeSync(each)
  await until(() => starts > 1, { what: 'the next start' })
  expect(ends[0]).toMatchObject({ how: 'SIGKILL' })
  expect(ends[1]).toMatchObject({ how: expect.stringContaining('EMFILE') })
})

test('the process in place of one that asked whether it is its turn, and died, is not stopped by the answer', async () => {
  const asks = `
    import { existsSync, writeFileSync } from 'node:fs'
    const marker = ${JSON.stringify(join(await temporaryFolder(), 'asked'))}
    process.on('message', () => process.exit(1))
    const die = () => process.exit(writeFileSync(marker, ''))
    if (!existsSync(marker)) server.on('listening', () => process.send('is it my turn?', die))`
  let begunAt = 0
  const onReady = () => {
    begunAt = performance.now()
  }
  const web = await superviseSource(stuckAfter(1_000) + asks, { onReady })
  await web.ready
  await until(() => web.deaths() > 0 && performance.now() - begunAt > 2 * sameSignalMs)
  expect(web.deaths()).toBe(1)
})

test('a process that hangs is killed when its stop takes too long', async () => {
  const said: string[] = []
  const log = { error: (event: string) => void said.push(event) }
  const web = await superviseSource(stuckAfter(1_000), { log, stopMs: 100 })
  await web.ready
  process.kill(web.pid() as number, 'SIGSTOP')
  await web.stop()
  expect(said).toEqual(['process.stuck'])
})

test('a process that never becomes ready is killed with the reason in the log: it said SIGKILL alone', async () => {
  const said: unknown[] = []
  const source = "process.on('disconnect', () => process.exit())\nsetInterval(() => {}, 1_000)"
  const log = { error: (...given: unknown[]) => void said.push(given) }
  const web = await superviseSource(source, { log }, { ...impatient, startMs: 100 })
  await expect(web.ready).rejects.toThrow('web did not start: SIGKILL')
  expect(said).toEqual([['process.stuck', { process: 'web', why: 'it was not ready in time' }]])
})

test('a process that a signal to all has ended is not started again while the others stop', async () => {
  const web = await superviseSource(stuckAfter(1_000))
  await web.ready
  const pid = web.pid() as number
  web.retire()
  process.kill(pid, 'SIGTERM')
  await web.stop()
  expect({ deaths: web.deaths(), pid: web.pid() }).toEqual({ deaths: 0, pid })
})
