import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { openLog } from '@tintype/lib/telemetry/log.ts'
import { outliveReaders } from '@tintype/lib/terminal.ts'
import { variables } from '@tintype/lib/variables.ts'
import { type Endpoints, portVariable, type Service, type Supervised, supervise } from './supervise.ts'

const usage = `npm start

The whole service on one machine: checks every variable and port, starts each service, starts again what dies, and
stops all in order at Ctrl-C; a second Ctrl-C stops at once. README.md lists the variables.
Example: DATA_DIR=/srv/tintype WEB_PORT=80 npm start
Exit status: 0 stopped, 1 it did not start, 2 bad arguments or environment.`

/** Those of one row start together; a row needs the addresses of the rows before it. */
const startOrder: Service[][] = [
  [{ name: 'logs', script: 'services/logs/main.ts', args: ['serve'] }],
  [
    { name: 'web', script: 'services/web/main.ts', args: [] },
    { name: 'converter', script: 'services/converter/main.ts', args: [] },
  ],
  [{ name: 'slo', script: 'slo/main.ts', args: ['serve'] }],
]
/** First nobody new comes in, then the work is finished; the log takes what is said of it until the end. */
const stopOrder = ['web', 'converter', 'slo', 'logs']

type Config = ReturnType<typeof readConfig<typeof variables>>
const isPort = (name: string): name is keyof Config & `${string}_PORT` => name.endsWith('_PORT')

/** Two services on one port, or a port that somebody else holds, would end in a loop of restarts. */
async function checkPorts(config: Config): Promise<string[]> {
  const taken = new Map<number, string>()
  const problems: string[] = []
  for (const name of Object.keys(config).filter(isPort)) {
    const port = config[name]
    const other = taken.get(port)
    const host = name.endsWith('_ADMIN_PORT') ? config.ADMIN_HOST : config.HOST
    if (port === 0) continue
    taken.set(port, name)
    const problem = other ? `also ${other}` : await whyNotFree(host, port)
    if (problem)
      problems.push(`  ${name}=${port} is not free (${problem}); choose another, or 0 for any free port`)
  }
  return problems
}

function whyNotFree(host: string, port: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const server = createServer()
  server.once('error', (error: NodeJS.ErrnoException) => resolve(`${error.code} on ${host}`))
  server.listen(port, host, () => server.close(() => resolve(undefined)))
  return promise
}

async function launch(config: Config): Promise<void> {
  const endpoints: Endpoints = {}
  const endpointsFile = join(config.DATA_DIR, 'endpoints.json')
  const running: Supervised[] = []
  const log = openLog('launcher', config, () => endpoints.logs)
  let stopping = false
  let published = false

  const hooks = {
    log,
    /** A port that was any free one is kept from then on: those who know the address find the service again. */
    environment: () => {
      const ports = Object.entries(endpoints).map(([name, url]) => [portVariable(name), new URL(url).port])
      return { ...process.env, ...Object.fromEntries(ports) }
    },
    onReady: (ready: Endpoints) => void Object.assign(endpoints, ready),
  }

  async function stop(exitCode: number): Promise<void> {
    if (stopping) {
      for (const each of running) each.kill()
      process.exit(1)
    }
    stopping = true
    if (published) rmSync(endpointsFile, { force: true })
    log.info('launcher.stopping')
    for (const name of stopOrder) {
      if (name === 'logs') await log.close()
      await running.find(each => each.name === name)?.stop()
    }
    process.exit(exitCode)
  }
  process.on('SIGINT', () => stop(0))
  process.on('SIGTERM', () => stop(0))

  try {
    for (const row of startOrder) {
      if (stopping) return
      const started = row.map(service => supervise(service, hooks))
      running.push(...started)
      await Promise.all(started.map(each => each.ready))
      // Left by a launcher that was killed. Not before logs is ready, which holds the folder's lock.
      rmSync(endpointsFile, { force: true })
    }
  } catch (error) {
    if (stopping) return
    console.error(`launcher: ${(error as Error).message}`)
    return stop(1)
  }
  if (stopping) return
  writeAtomically(endpointsFile, JSON.stringify(endpoints))
  published = true
  log.info('launcher.ready')
  console.log(`Tintype is ready: ${endpoints.web}`)
}

function writeAtomically(file: string, text: string): void {
  const draft = `${file}.tmp`
  writeFileSync(draft, `${text}\n`)
  renameSync(draft, file)
}

async function main(args: string[]): Promise<number> {
  readArguments(args, {})
  const config = readConfig(process.env, variables)
  const problems = await checkPorts(config)
  if (problems.length > 0) {
    console.error(`cannot start:\n${problems.join('\n')}`)
    return 1
  }
  mkdirSync(config.DATA_DIR, { recursive: true })
  await launch(config)
  return 0
}

outliveReaders()
const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
