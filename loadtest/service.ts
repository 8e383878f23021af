import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type Service = {
  endpoints: Record<string, string> & { web: string; webAdmin: string; converterAdmin: string }
  stop(): Promise<void>
}

/** A whole service of its own in a folder, on free ports. */
export async function startService(dataDir: string, environment: Record<string, string>): Promise<Service> {
  const ports = ['WEB', 'WEB_ADMIN', 'CONVERTER_ADMIN', 'LOGS', 'LOGS_ADMIN', 'SLO', 'SLO_ADMIN'].map(
    name => [`${name}_PORT`, '0'],
  )
  const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'tools', 'launch.ts')], {
    env: { PATH: process.env.PATH, ...Object.fromEntries(ports), DATA_DIR: dataDir, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const [first] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), exited])
  if (typeof first !== 'string') throw new Error(`the service ended with ${first} before it was ready`)
  return {
    endpoints: JSON.parse(readFileSync(join(dataDir, 'endpoints.json'), 'utf8')),
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}
