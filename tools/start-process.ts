import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { forwardStderr } from '@tintype/lib/terminal.ts'
import { startProgram } from './program-output.ts'
import type { Script, Service } from './service-types.ts'

const root = `${import.meta.dirname}/..`
/** Cache of compiled code. Without it each process loads the type stripper, which takes 17 MiB and time. */
const compileCache = `${root}/node_modules/.cache/node`

/** `ended` resolves with the signal or the exit code. */
export type Started = { child: ChildProcess; ended: Promise<string> }

export function startProcess(service: Service, env: NodeJS.ProcessEnv): Started {
  const child = 'script' in service ? startScript(service, env) : startProgram(service, env)
  // Not 'exit', because the last output may still be in the pipe then.
  const ended = once(child, 'close').then(
    () => child.signalCode ?? `exit code ${child.exitCode}`,
    (error: Error) => error.message,
  )
  return { child, ended }
}

function startScript(
  { script, args, root: from = root }: Service & Script,
  env: NodeJS.ProcessEnv,
): ChildProcess {
  // A release may start version 0.1, which loads its telemetry before the service.
  const preload = `${from}/lib/telemetry/preload.ts`
  const telemetry = existsSync(preload) ? ['--import', pathToFileURL(preload).href] : []
  // With Node's default of 16 MiB a process takes 15 MiB more. Web's garbage is collected three times less often for 11 MiB
  // more, which saves 1 ms of CPU a photo.
  const young = `--max-semi-space-size=${script === 'services/web/main.ts' ? 8 : 2}`
  const child = spawn(process.execPath, [young, ...telemetry, `${from}/${script}`, ...args], {
    // By default each thread has its own memory pool of glibc, which takes 8 MiB more in all.
    env: { NODE_COMPILE_CACHE: compileCache, MALLOC_ARENA_MAX: '2', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  forwardStderr(child)
  return child
}
