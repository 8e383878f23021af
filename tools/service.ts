import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

export type Running = {
  launcher: ChildProcess
  endpoints: Record<string, string>
  /** Standard error of launcher and services so far. */
  stderr: () => string
  /** Ends the service. Resolves with the launcher's exit code; null when a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

const root = join(import.meta.dirname, '..')
export const anyPorts = Object.fromEntries(
  ['WEB', 'WEB_ADMIN', 'CONVERTER_ADMIN', 'LOGS', 'LOGS_ADMIN', 'SLO', 'SLO_ADMIN'].map(name => [
    `${name}_PORT`,
    '0',
  ]),
)

/**
 * Starts everything on free ports, from this checkout or another. `under`: a command that executes it. `stop` ends it, and
 * so does the end of this process: the launcher outlives a closed terminal.
 * @throws with its standard error when it ends before it is ready.
 */
export async function startService(
  dataDir: string,
  environment: Record<string, string> = {},
  {
    checkout = root,
    under = [],
    launcher: script = 'tools/launch.ts',
  }: { checkout?: string; under?: readonly string[]; launcher?: string } = {},
): Promise<Running> {
  // The same cache as the script `start` of package.json.
  const cache = { NODE_COMPILE_CACHE: join(checkout, 'node_modules/.cache/node') }
  const env = { ...inherited(), ...cache, DATA_DIR: dataDir, ...anyPorts, ...environment }
  const command = [...under, process.execPath, '--max-semi-space-size=2', join(checkout, script)]
  const { child, ...started } = await startUntil('Tintype is ready', command, {
    cwd: checkout,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const endpoints = JSON.parse(readFileSync(join(dataDir, 'endpoints.json'), 'utf8'))
  return { launcher: child, endpoints, ...started }
}

/** The variables that every process of a benchmark or a test inherits. */
export const inherited = () => ({
  PATH: process.env.PATH,
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
})

export type Started = {
  child: ChildProcess
  /** The line of standard output that said it was ready. */
  ready: string
  /** The process's standard error so far. */
  stderr: () => string
  /** Ends the process. Resolves with its exit code; null when a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts a process and waits for a line that starts with `ready`. @throws with its stderr when it ends before. */
export async function startUntil(
  ready: string,
  [program = '', ...args]: readonly string[],
  options: { cwd?: string; env: NodeJS.ProcessEnv; stdio?: StdioOptions },
): Promise<Started> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const output = child.stdout as Readable
  let stderr = ''
  child.stderr?.on('data', chunk => {
    stderr += chunk
  })
  const exited = once(child, 'exit')
  let line: string | undefined
  for await (const each of createInterface({ input: output })) {
    line = each
    if (line.startsWith(ready)) break
  }
  if (!line?.startsWith(ready)) {
    await exited
    throw new Error(`${[program, ...args].join(' ')} ended before it was ready:\n${stderr}`)
  }
  output.resume()
  return {
    child,
    ready: line,
    stderr: () => stderr,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      const [code] = await exited
      return code
    },
  }
}
