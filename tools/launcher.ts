import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { readConfig } from '@tintype/lib/config.ts'
import { openLog } from '@tintype/lib/telemetry/log.ts'
import { variables } from '@tintype/lib/variables.ts'
import { type Endpoints, portVariable, type Service, type Supervised, supervise } from './supervise.ts'

export type Plan = {
  /** Those of one row start together, and are made when those of the rows before it are ready. */
  rows: ((started: Started, config: Config) => Service[] | Promise<Service[]>)[]
  /** By name. Those of one row stop together. */
  stopOrder: readonly string[][]
  /** What DATA_DIR/endpoints.json says; default: the address of everything. */
  publish?: (started: Started) => { web?: string }
}

/** The addresses of each process that is ready, by its name. */
export type Started = ReadonlyMap<string, Endpoints>

export type Config = ReturnType<typeof readConfig<typeof variables>>
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

async function run(config: Config, plan: Plan): Promise<void> {
  const ready = new Map<string, Endpoints>()
  const endpoints = (): Endpoints => Object.assign({}, ...ready.values())
  const endpointsFile = join(config.DATA_DIR, 'endpoints.json')
  const running: Supervised[] = []
  const log = openLog('launcher', config, () => endpoints().logs)
  let stopping = false
  let published = false

  const hooks = {
    log,
    /** A port that was any free one is kept from then on: those who know the address find the service again. */
    environment: ({ name, environment }: Service) => ({
      ...process.env,
      ...ports(endpoints()),
      ...environment,
      ...ports(ready.get(name) ?? {}),
    }),
    onReady: (endpoints: Endpoints, { name }: Service) => void ready.set(name, endpoints),
  }

  async function stop(exitCode: number): Promise<void> {
    if (stopping) {
      for (const each of running) each.kill()
      process.exit(1)
    }
    stopping = true
    if (published) rmSync(endpointsFile, { force: true })
    log.info('launcher.stopping')
    for (const row of plan.stopOrder) {
      if (row.includes('logs')) await log.close()
      await Promise.all(running.filter(({ name }) => row.includes(name)).map(each => each.stop()))
    }
    process.exit(exitCode)
  }
  process.on('SIGINT', () => stop(0))
  process.on('SIGTERM', () => stop(0))

  try {
    for (const row of plan.rows) {
      const services = await row(ready, config)
      if (stopping) return
      const started = services.map(service => supervise(service, hooks))
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
  const addresses = plan.publish?.(ready) ?? endpoints()
  writeAtomically(endpointsFile, JSON.stringify(addresses))
  published = true
  log.info('launcher.ready')
  console.log(`Tintype is ready: ${addresses.web}`)
}

const ports = (endpoints: Endpoints): Endpoints =>
  Object.fromEntries(Object.entries(endpoints).map(([name, url]) => [portVariable(name), new URL(url).port]))

function writeAtomically(file: string, text: string): void {
  const draft = `${file}.tmp`
  writeFileSync(draft, `${text}\n`)
  renameSync(draft, file)
}

/** Runs a plan until a signal ends it. Resolves with the exit status when it cannot start. */
export async function launch(plan: Plan): Promise<number> {
  const config = readConfig(process.env, variables)
  const problems = await checkPorts(config)
  if (problems.length > 0) {
    console.error(`cannot start:\n${problems.join('\n')}`)
    return 1
  }
  mkdirSync(config.DATA_DIR, { recursive: true })
  await run(config, plan)
  return 0
}
