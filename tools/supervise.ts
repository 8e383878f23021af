import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { Log } from '@tintype/lib/telemetry/log.ts'

export type Service = { name: string; script: string; args: readonly string[] }
export type Endpoints = Record<string, string>

/** `webAdmin` is at WEB_ADMIN_PORT. */
export const portVariable = (endpoint: string): string =>
  `${endpoint.replace(/[A-Z]/g, '_$&').toUpperCase()}_PORT`

export type Supervised = {
  name: string
  /** Ready for the first time. Rejects when it ends before: that needs a person. */
  ready: Promise<void>
  /** Asks the process to finish what is under way; resolves when it is gone. */
  stop(): Promise<void>
  /** Ends it at once. */
  kill(): void
}

export type Hooks = {
  /** Asked before each start, so that a process started again gets what is known by then: its own ports. */
  environment: () => NodeJS.ProcessEnv
  onReady: (endpoints: Endpoints) => void
  log: Log
}

/** A process that died is started again soon; one that dies again and again, less and less often. */
const firstDelayMs = 200
const maxDelayMs = 5_000
/** A process that lived for so long had recovered: its end begins with the first delay. */
const steadyMs = 30_000
/** Far over the slowest start; a process that is not ready by then hangs, and is ended. */
const startMs = 60_000

const root = `${import.meta.dirname}/..`
const preload = pathToFileURL(`${root}/lib/telemetry/preload.ts`).href

/** Starts a service and, once it was ready, starts it again whenever it ends, until `stop` or `kill`. */
export function supervise(service: Service, hooks: Hooks): Supervised {
  const { name } = service
  const stopping = new AbortController()
  let child = start(service, hooks)

  async function keepAlive(): Promise<void> {
    for (let delayMs = 0; ; ) {
      const since = performance.now()
      const how = await end(child)
      if (stopping.signal.aborted) return
      const steady = performance.now() - since > steadyMs
      delayMs = steady ? firstDelayMs : Math.min(Math.max(delayMs * 2, firstDelayMs), maxDelayMs)
      hooks.log.warn('process.ended', { process: name, how, restartSeconds: delayMs / 1000 })
      await setTimeout(delayMs, undefined, stopping).catch(() => {})
      if (stopping.signal.aborted) return
      child = start(service, hooks)
      if (await becomesReady(child, hooks)) hooks.log.warn('process.restarted', { process: name })
    }
  }

  async function firstStart(): Promise<void> {
    if (!(await becomesReady(child, hooks))) throw new Error(`${name} did not start: ${await end(child)}`)
    void keepAlive()
  }

  return {
    name,
    ready: firstStart(),
    async stop() {
      stopping.abort()
      child.kill('SIGTERM')
      await end(child)
    },
    kill() {
      stopping.abort()
      child.kill('SIGKILL')
    },
  }
}

function start({ script, args }: Service, { environment }: Hooks): ChildProcess {
  return spawn(process.execPath, ['--import', preload, `${root}/${script}`, ...args], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
}

/** Resolves with true at the ready line (lib/run.ts), with false when the process ends without one. */
async function becomesReady(child: ChildProcess, { onReady }: Hooks): Promise<boolean> {
  const hangs = globalThis.setTimeout(() => child.kill('SIGKILL'), startMs)
  try {
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      if (!line.startsWith('{"ready":')) continue
      onReady(JSON.parse(line).ready)
      return true
    }
    return false
  } finally {
    clearTimeout(hangs)
    child.stdout?.resume()
  }
}

/** How a process ended, in words; waits until it did. */
async function end(child: ChildProcess): Promise<string> {
  try {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  } catch (error) {
    return (error as Error).message
  }
  return child.signalCode ?? `exit code ${child.exitCode}`
}
