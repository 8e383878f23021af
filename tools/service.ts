import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type Running = {
  launcher: ChildProcess
  endpoints: Record<string, string>
  /** What the launcher and the services wrote to standard error so far. */
  stderr: () => string
  /** Ends it and gives the launcher's exit code; null when a signal ended it. */
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
 * Starts everything on free ports, of this checkout or another, `under` a command that becomes it; `stop` ends it.
 * Throws with what it said when it does not become ready.
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
  const [program = '', ...args] = [...under, process.execPath, join(checkout, script)]
  const launcher = spawn(program, args, {
    cwd: checkout,
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      DATA_DIR: dataDir,
      ...anyPorts,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  launcher.stderr.on('data', chunk => {
    stderr += chunk
  })
  const exited = once(launcher, 'exit')
  if (!(await saysReady(launcher.stdout))) {
    await exited
    throw new Error(`${script} ended:\n${stderr}`)
  }
  launcher.stdout.resume()
  return {
    launcher,
    endpoints: JSON.parse(readFileSync(join(dataDir, 'endpoints.json'), 'utf8')),
    stderr: () => stderr,
    async stop(signal = 'SIGTERM') {
      launcher.kill(signal)
      const [code] = await exited
      return code
    },
  }
}

async function saysReady(stdout: NodeJS.ReadableStream): Promise<boolean> {
  for await (const line of createInterface({ input: stdout }))
    if (line.startsWith('Tintype is ready')) return true
  return false
}
