import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { describeError, messageOf } from '@tintype/lib/errors.ts'
import { askBounded } from '@tintype/lib/http/bounded-request.ts'
import type { TurnMessage } from '@tintype/lib/run.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { sameSignalMs } from '@tintype/lib/terminal.ts'
import { outputOf } from './program-output.ts'
import type { Endpoints, Program, Service } from './service-types.ts'
import { type Started, startProcess } from './start-process.ts'

export type Supervised = {
  pid(): number | undefined
  /** How often the process ended without being stopped. */
  deaths(): number
  /** Resolves at the first ready line. Rejects when the process ends before, which is then not restarted. */
  ready: Promise<void>
  /** It is not started again, and waits for its turn to stop: a signal may have reached all processes at once. */
  retire(): void
  /** Asks the process to finish its work, and kills it after `stopMs`. Resolves when it has ended. */
  stop(): Promise<void>
  kill(): void
}

export type Hooks = {
  /** Called before each start, so that a restarted process gets the same ports. */
  environment: (service: Service) => NodeJS.ProcessEnv
  onReady: (endpoints: Endpoints, service: Service) => void
  log: Log
  /** How long a stop may take. A process that hangs does not end by itself. */
  stopMs: number
}

/** Delay of a restart, doubled each time that the process soon dies again. */
const firstDelayMs = 200
const maxDelayMs = 5_000
/** After this time a process has recovered, and its next restart has the first delay. */
const steadyMs = 30_000
/** Interval of checks whether a program can be used. */
const askMs = 100
/**
 * A process whose /livez fails for a minute is killed, as in the cluster (k8s/base/deployment.yaml), and one that is not
 * ready after three: on a busy machine twelve that start at once take more than one.
 */
const patience = { everyMs: 10_000, failures: 6, startMs: 180_000 }
const livezMs = 5_000

/** Starts a service. Once ready it is restarted whenever it ends or its /livez fails, until `stop` or `kill`. */
export function supervise(service: Service, hooks: Hooks, liveness = patience): Supervised {
  const { name } = service
  const stopping = new AbortController()
  let current = startProcess(service, hooks.environment(service))
  let deaths = 0

  const send = (message: TurnMessage, { child } = current) => child.connected && child.send(message, () => {})

  const killAfter = (ms: number, child: ChildProcess, why: string) =>
    globalThis.setTimeout(() => {
      hooks.log.error('process.stuck', { process: name, why })
      child.kill('SIGKILL')
    }, ms)

  async function becomesReady(started: Started): Promise<boolean> {
    const { child } = started
    // A service that got a SIGTERM asks whether it is its turn: the signal may have reached all processes, or it alone.
    child.on('message', () =>
      setTimeout(sameSignalMs).then(() => stopping.signal.aborted || send('stop', started)),
    )
    const hangs = killAfter(liveness.startMs, child, 'it was not ready in time')
    const endpoints = await ('script' in service ? readyLine(child) : answer(child, service))
    clearTimeout(hangs)
    if (!endpoints) return false
    try {
      hooks.onReady(endpoints, service)
    } catch (error) {
      // On a full disk the file with the addresses cannot be written. The error must not end the launcher.
      hooks.log.error('process.not-announced', { process: name, error: describeError(error) })
    }
    const admin = Object.entries(endpoints).find(([each]) => each.endsWith('Admin'))?.[1]
    if (admin) void endWhenStuck(child, `${admin}/livez`)
    return true
  }

  async function keepAlive(): Promise<void> {
    let { ended } = current
    for (let delayMs = 0; ; ) {
      const since = performance.now()
      const how = await ended
      if (stopping.signal.aborted) return
      deaths++
      const steady = performance.now() - since > steadyMs
      delayMs = steady ? firstDelayMs : Math.min(Math.max(delayMs * 2, firstDelayMs), maxDelayMs)
      hooks.log.warn('process.ended', { process: name, how, restartSeconds: delayMs / 1000 })
      await setTimeout(delayMs, undefined, stopping).catch(() => {})
      if (stopping.signal.aborted) return
      try {
        current = startProcess(service, hooks.environment(service))
      } catch (error) {
        // The system has no file descriptor or memory left for it, or its folder is gone: it is tried again.
        ended = Promise.resolve(messageOf(error))
        continue
      }
      ended = current.ended
      if (await becomesReady(current)) hooks.log.warn('process.restarted', { process: name })
    }
  }

  async function endWhenStuck(child: ChildProcess, livez: string): Promise<void> {
    let failed = 0
    let why: string | null = null
    while (failed < liveness.failures) {
      await setTimeout(liveness.everyMs, undefined, { ...stopping, ref: false }).catch(() => {})
      if (stopping.signal.aborted || child !== current.child) return
      why = await whyNotLive(livez)
      failed = why === null ? 0 : failed + 1
    }
    hooks.log.error('process.stuck', { process: name, why })
    child.kill('SIGKILL')
  }

  async function firstStart(): Promise<void> {
    const log = 'folder' in service ? `; the reason is in ${outputOf(service)}` : ''
    if (!(await becomesReady(current))) throw new Error(`${name} did not start: ${await current.ended}${log}`)
    void keepAlive()
  }

  return {
    pid: () => current.child.pid,
    deaths: () => deaths,
    ready: firstStart(),
    retire() {
      stopping.abort()
      send('retire')
    },
    async stop() {
      stopping.abort()
      const { child, ended } = current
      send('stop')
      child.kill('script' in service ? 'SIGTERM' : service.stopSignal)
      const hangs = killAfter(hooks.stopMs, child, 'it did not stop')
      await ended
      clearTimeout(hangs)
    },
    kill() {
      stopping.abort()
      current.child.kill('SIGKILL')
    },
  }
}

/** The addresses in the ready line; undefined when the process ends without it. */
async function readyLine(child: ChildProcess): Promise<Endpoints | undefined> {
  // Node makes no streams for a process for which no file descriptor is left.
  if (!child.stdout) return undefined
  try {
    for await (const line of createInterface({ input: child.stdout }))
      if (line.startsWith('{"ready":')) return JSON.parse(line).ready
    return undefined
  } finally {
    child.stdout.resume()
  }
}

async function answer(child: ChildProcess, { answers }: Program): Promise<Endpoints | undefined> {
  while (child.exitCode === null && child.signalCode === null) {
    const endpoints = await answers()
    if (endpoints) return endpoints
    await setTimeout(askMs)
  }
  return undefined
}

async function whyNotLive(livez: string): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(livezMs)
    const { status, body } = await askBounded(livez, { signal, maxMiB: 1 })
    return status === 200 ? null : body.toString().trim()
  } catch (error) {
    return messageOf(error)
  }
}
