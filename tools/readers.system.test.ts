import { execFileSync, type StdioOptions, spawn, spawnSync } from 'node:child_process'
import { closeSync, constants, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { person } from '../test/client.ts'
import { photo } from '../test/images.ts'
import { childrenOf, processes } from '../test/processes.ts'
import { temporaryFolder, until } from '../test/support.ts'
import { anyPorts, inherited } from './service.ts'

/** The reader of standard output and error may end, or stop reading: the service goes on and is stopped as usual. */

const launcher = join(import.meta.dirname, 'launch.ts')
const startMs = 150_000

/** Two ends of a pipe that have nothing to do with each other's blocking mode. */
async function pipe(): Promise<{ reader: number; writer: number }> {
  const file = join(await temporaryFolder(), 'pipe')
  execFileSync('mkfifo', [file])
  const reader = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  return { reader, writer: openSync(file, 'w') }
}

/** Fills the pipe that a descriptor writes to; its own blocking mode stays. */
function fill(writer: number): void {
  const filler = openSync(`/proc/self/fd/${writer}`, constants.O_WRONLY | constants.O_NONBLOCK)
  try {
    for (;;) writeSync(filler, Buffer.alloc(4_096, 'x'))
  } catch (error) {
    expect(error).toMatchObject({ code: 'EAGAIN' })
  } finally {
    closeSync(filler)
  }
}

async function whenReady(dataDir: string): Promise<Record<string, string>> {
  const file = join(dataDir, 'endpoints.json')
  await until(() => existsSync(file), { timeoutMs: startMs, what: 'the addresses of the service' })
  return JSON.parse(readFileSync(file, 'utf8'))
}

const pidOf = (parent: number, service: string) =>
  childrenOf(parent).find(({ command }) => command.includes(`${service}/main.ts`))?.pid

/** Makes launcher and services complain: a converter dies, is started again, and converts. */
async function survives(pid: number, endpoints: Record<string, string>): Promise<void> {
  const before = ['web', 'logs', 'slo'].map(service => pidOf(pid, service))
  const killed = pidOf(pid, 'converter') as number
  process.kill(killed, 'SIGKILL')
  await until(() => ![undefined, killed].includes(pidOf(pid, 'converter')), {
    timeoutMs: startMs,
    what: 'another converter',
  })
  const someone = person(endpoints.web ?? '')
  const image = await photo(64, 64, 1)
  await until(async () => (await someone.upload(image, { Prefer: 'wait=30' })).status === 201, {
    timeoutMs: startMs,
    what: 'a thumbnail',
  })
  expect(['web', 'logs', 'slo'].map(service => pidOf(pid, service))).toEqual(before)
}

/** Starts a program that is, or starts, the launcher. What is left of it ends with the test. */
async function start(
  command: string[],
  stdio: StdioOptions,
  launcherOf: (pid: number) => number | undefined,
) {
  const dataDir = await temporaryFolder()
  const [program = '', ...args] = command
  const env = { ...inherited(), DATA_DIR: dataDir, ...anyPorts, SCRAPE_SECONDS: '1' }
  const child = spawn(program, args, { stdio, env })
  const endpoints = await whenReady(dataDir)
  const pid = launcherOf(child.pid as number) as number
  const family = [pid, ...childrenOf(pid).map(each => each.pid)]
  const living = () => processes().filter(each => family.includes(each.pid) || each.parent === pid)
  onTestFinished(async () => {
    for (const each of living()) process.kill(each.pid, 'SIGKILL')
    await until(() => living().length === 0, { what: 'the end of all processes' })
  })
  const stops = async () => {
    process.kill(pid, 'SIGTERM')
    await until(() => living().length === 0, { timeoutMs: startMs, what: 'the end of all processes' })
    expect(existsSync(join(dataDir, 'endpoints.json'))).toBe(false)
  }
  return { child, pid, endpoints, stops }
}

const startWithPipe = async (writer: number) =>
  start([process.execPath, launcher], ['ignore', writer, writer], pid => pid)

test('npm start | head -1: the reader leaves before anything is written', async () => {
  const { reader, writer } = await pipe()
  closeSync(reader)
  const { child, pid, endpoints, stops } = await startWithPipe(writer)
  closeSync(writer)
  await survives(pid, endpoints)
  await stops()
  await expect.poll(() => child.exitCode).toBe(0)
})

test.runIf(process.env.TEST_FULL)(
  'the reader stops, the pipe fills up, and then the reader leaves',
  async () => {
    const { reader, writer } = await pipe()
    const { child, pid, endpoints, stops } = await startWithPipe(writer)
    fill(writer)
    closeSync(writer)
    await survives(pid, endpoints)
    closeSync(reader)
    await survives(pid, endpoints)
    await stops()
    await expect.poll(() => child.exitCode).toBe(0)
  },
)

const hasTerminals = spawnSync('script', ['--version']).status === 0

test.runIf(process.env.TEST_FULL && hasTerminals)(
  'a terminal is stopped with Ctrl-S, and then closed (needs script, of util-linux)',
  async () => {
    const command = `exec ${process.execPath} ${launcher}`
    const { child, pid, endpoints, stops } = await start(
      ['script', '-qec', command, '/dev/null'],
      ['pipe', 'ignore', 'ignore'],
      parent => childrenOf(parent)[0]?.pid,
    )
    child.stdin?.write('\x13')
    await survives(pid, endpoints)
    child.kill('SIGKILL')
    await survives(pid, endpoints)
    await stops()
  },
)

test.each([
  ['services/logs/main.ts', '--help'],
  ['slo/main.ts', 'report', '--help'],
  ['tools/queue.ts', '--help'],
  ['tools/parts.ts', '--list'],
  ['dashboards/main.ts', '--check'],
])('%s %s | head -0 ends quietly, with its usual exit code', async (...command) => {
  const root = join(import.meta.dirname, '..')
  const { reader, writer } = await pipe()
  closeSync(reader)
  const { status, stderr } = spawnSync(process.execPath, command, {
    cwd: root,
    stdio: ['ignore', writer, 'pipe'],
    encoding: 'utf8',
  })
  closeSync(writer)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
