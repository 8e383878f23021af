import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { readConfig } from '@tintype/lib/config.ts'
import { makeFolder, replaceFile } from '@tintype/lib/disk.ts'
import { explainError, orElse } from '@tintype/lib/errors.ts'
import { fromHere } from '@tintype/lib/loopback.ts'
import { openLog } from '@tintype/lib/telemetry/log.ts'
import { stopThenAtOnce, whenDisconnected } from '@tintype/lib/terminal.ts'
import { type Config, variables } from '@tintype/lib/variables.ts'
import { launcherFile, socketIn } from './control.ts'
import { type Fleet, type Member, openFleet } from './fleet.ts'
import { openReleases } from './release/launched.ts'
import { freeReserve, keepReserve } from './reserve.ts'
import type { Fronting } from './scaled/front.ts'
import type { Endpoints, Service } from './service-types.ts'
import { misspelt, portProblems } from './start-checks.ts'

export type Plan = {
  /** The services of a row start together. A row is called when all services of earlier rows are ready. */
  rows: ((started: Started, config: Config, socketFolder: string) => Service[] | Promise<Service[]>)[]
  /** Names in order of stopping. The services of a row stop together. */
  stopOrder: readonly string[][]
  /** The content of DATA_DIR/endpoints.json; default: the addresses of all services. */
  publish?: (started: Started) => { web?: string }
  /** HAProxy, if the plan has one. A release adds it to a plan without. */
  front?: () => Fronting
}

/** The addresses of each ready process, by its name. */
export type Started = ReadonlyMap<string, Endpoints>

/** A service ends by itself 5 s after its grace time, unless its event loop is blocked. */
const stopMarginMs = 10_000

async function run(config: Config, plan: Plan): Promise<void> {
  const endpointsFile = join(config.DATA_DIR, 'endpoints.json')
  const device = deviceOf(config.DATA_DIR)
  const log = openLog('launcher', config, () => endpoints().logs)
  // After what may fail: each start that a supervisor repeats would leave a folder.
  const control = controlOf(config.DATA_DIR)
  let stopping = false
  /** True once logs is ready, which holds the lock of DATA_DIR: the folder's files are this launcher's. */
  let owned = false
  let published = false

  const fleet: Fleet = openFleet(
    {
      log,
      stopMs: config.GRACE_SECONDS * 1000 + stopMarginMs,
      /** A port that was chosen as free is kept at a restart, because clients and other services know it. */
      environment: ({ name, environment }: Service) => {
        // Photos that it would accept below the mount point would be hidden when the disk is back.
        if (deviceOf(config.DATA_DIR, device) !== device)
          throw new Error(`${config.DATA_DIR} is on another disk than at the start: is its disk mounted?`)
        return {
          ...process.env,
          pm_id: undefined, // pm2 started the launcher, which alone stops the services
          TARGETS_FILE: resolve(config.DATA_DIR, 'targets.json'),
          ...ports(endpoints()),
          ...environment,
          ...ports(fleet.ready.get(name) ?? {}),
        }
      },
    },
    { root: resolve(import.meta.dirname, '..'), version: config.VERSION },
    () => publish(),
  )
  /** The service's addresses. HAProxy's overrides those of the web processes behind it. */
  const endpoints = (): Endpoints => Object.assign({}, ...fleet.ready.values(), fleet.ready.get('haproxy'))

  function publish(): { web?: string } {
    const addresses = plan.publish?.(fleet.ready) ?? endpoints()
    publishTargets()
    if (!published) return addresses
    replaceFile(endpointsFile, `${JSON.stringify(addresses)}\n`)
    const socket = join(control.folder, 'launcher.sock')
    replaceFile(
      control.file,
      JSON.stringify({ pid: process.pid, socket, ino: statSync(config.DATA_DIR).ino }),
    )
    return addresses
  }

  function publishTargets(): void {
    const targets = JSON.stringify(targetsOf(fleet, config.INSTANCE))
    replaceFile(resolve(config.DATA_DIR, 'targets.json'), targets)
  }

  /** Removes stopping processes from slo's targets: slo stops later and would log a failed scrape of each. */
  function withdraw(members: Member[]): void {
    for (const { service, role } of members) if (role !== 'slo') fleet.ready.delete(service.name)
    // On a full disk the targets stay.
    if (owned) orElse(undefined, publishTargets)
  }

  async function drain(exitCode: number): Promise<void> {
    stopping = true
    if (owned) discard(control.file)
    if (published) discard(endpointsFile)
    published = false
    log.info('launcher.stopping')
    for (const { supervised } of fleet.members.values()) supervised.retire()
    for (const row of plan.stopOrder) {
      if (row.includes('logs')) await log.close()
      const members = [...fleet.members.values()].filter(({ role }) => row.includes(role))
      withdraw(members)
      await Promise.all(members.map(({ supervised }) => supervised.stop()))
    }
    discard(control.folder)
    process.exit(exitCode)
  }
  const stop = stopThenAtOnce(drain, () => {
    fleet.kill()
    discard(control.folder)
    process.exit(1)
  })
  process.on('SIGINT', () => stop(0))
  process.on('SIGTERM', () => stop(0))
  // The command that started it, such as npm run faults, has ended.
  whenDisconnected(() => stop(0))

  try {
    for (const row of plan.rows) {
      const services = await row(fleet.ready, config, control.folder)
      if (stopping) return
      await Promise.all(services.map(fleet.start))
      owned = true
      // A killed launcher's files.
      discard(endpointsFile)
      const socket = socketIn(config.DATA_DIR)
      if (socket) discard(dirname(socket))
      discard(control.file)
    }
    await openReleases({ fleet, config, log, socketFolder: control.folder, front: plan.front?.() })
    if (stopping) return
    published = true
    const addresses = publish()
    if (plan.publish)
      for (const [name, url] of Object.entries(addresses))
        if (typeof url === 'string') console.log(`${name.padEnd(16)} ${url}`)
    log.info('launcher.ready')
    // No browser opens 0.0.0.0 on every system.
    console.log(`Tintype is ready: ${fromHere(addresses.web ?? '')}`)
    // A pipe gets only the ready line, which programs wait for.
    if (process.stdout.isTTY) console.log(whatNext(endpoints()))
    // 8 MiB are written, for which no start waits.
    keepReserve(config.DATA_DIR)
  } catch (error) {
    if (stopping) return
    console.error(`launcher: ${(error as Error).message}`)
    await stop(1)
  }
}

/** The disk of a folder; `otherwise` when it is not there: a process then makes it anew. */
const deviceOf = (folder: string, otherwise?: number): number | undefined =>
  statSync(folder, { throwIfNoEntry: false })?.dev ?? otherwise

/** Removes what is there, unless its disk became read-only, which must not prevent a stop, or it is root's, as after sudo. */
const discard = (path: string): void =>
  orElse(undefined, () => rmSync(path, { recursive: true, force: true }))

const whatNext = ({ slo = '', logs = '' }: Endpoints): string => `
  promises, alerts, diagnosis   ${fromHere(slo)}
  log entries of a session      ${fromHere(logs)}
  break it and watch            npm run demo
  stop                          Ctrl-C, which finishes the work in progress
`

/**
 * The file by which a release finds the launcher, and the folder of the sockets. The folder's path is short, because a
 * socket's path has at most 103 characters.
 */
function controlOf(dataDir: string): { file: string; folder: string } {
  const folder = tmpdir().length > 60 ? '/tmp' : tmpdir()
  return { file: launcherFile(dataDir), folder: mkdtempSync(join(folder, 'tintype-')) }
}

/** The scrape targets in the format of Prometheus' file_sd. */
const targetsOf = ({ ready, members }: Fleet, instance: string): object[] =>
  [...members.values()].flatMap(({ role, service }) => {
    const job = role.replace(/-\d+$/, '')
    const admin = ready.get(service.name)?.[`${job}Admin`]
    if (!admin || !('script' in service)) return []
    const labels = { job, instance: service.environment?.INSTANCE ?? instance }
    return [{ targets: [new URL(admin).host], labels }]
  })

/** The variable of an endpoint's port: `webAdmin` has WEB_ADMIN_PORT. */
const portVariable = (endpoint: string): string => `${endpoint.replace(/[A-Z]/g, '_$&').toUpperCase()}_PORT`

const ports = (endpoints: Endpoints): Endpoints =>
  Object.fromEntries(Object.entries(endpoints).map(([name, url]) => [portVariable(name), new URL(url).port]))

/** Runs a plan until a signal ends it. Resolves with an exit status only if it cannot start. */
export async function launch(plan: Plan): Promise<number> {
  for (const line of misspelt(process.env)) console.error(line)
  const config = readConfig(process.env, variables)
  const problems = await portProblems(config, config.GRACE_SECONDS * 1000 + stopMarginMs)
  if (problems.length > 0) {
    console.error(`cannot start:\n${problems.join('\n')}`)
    return 1
  }
  try {
    makeFolder(config.DATA_DIR)
    freeReserve(config.DATA_DIR)
    await run(config, plan)
  } catch (error) {
    console.error(`cannot start: ${explainError(error)}`)
    return 1
  }
  return 0
}
