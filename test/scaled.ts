import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { childrenOf, type Process } from './processes.ts'
import { startTintype, type Tintype } from './service.ts'

type Addresses = Record<string, string>

export type Scaled = Tintype & {
  webs: Addresses[]
  converters: Addresses[]
  /** Of queue and storage. */
  engines: Record<string, string>
  /** A process of the launcher: `web-1`, `converter-3`, `logs`, `slo`, `haproxy`, `postgres` or `seaweedfs`. */
  named(name: string): Process | undefined
}

/** The names of the processes of `npm run scaled`. */
export const processNames = [
  ...[0, 1, 2].map(n => `web-${n}`),
  ...[0, 1, 2, 3].map(n => `converter-${n}`),
  'logs',
  'slo',
  'haproxy',
  'postgres',
  'seaweedfs',
]

const programs: Record<string, string> = {
  haproxy: 'haproxy -db',
  postgres: 'postgres -D',
  seaweedfs: 'weed server',
}

/** Everything of `npm run scaled`, on free ports. PostgreSQL's user must be able to enter `dataDir`. */
export async function startScaled(
  dataDir: string,
  environment: Record<string, string> = {},
): Promise<Scaled> {
  const tintype = await startTintype(dataDir, environment, { launcher: 'tools/scaled.ts' })
  const { webs, converters } = tintype.endpoints as unknown as Pick<Scaled, 'webs' | 'converters'>
  return {
    ...tintype,
    webs,
    converters,
    engines: enginesIn(dataDir),
    named: name => childrenOf(tintype.pid).find(process => nameOf(process) === name),
  }
}

const enginesIn = (dataDir: string): Record<string, string> =>
  Object.fromEntries(
    readFileSync(join(dataDir, 'secrets', 'scaled.env'), 'utf8')
      .split('\n')
      .flatMap(line => {
        const [, name, value] = /^(\w+)='(.*)'$/.exec(line) ?? []
        return name ? [[name, value ?? '']] : []
      }),
  )

function nameOf({ pid, command }: Process): string | undefined {
  const program = Object.keys(programs).find(name => command.includes(programs[name] as string))
  const [, script] = /\/(\w+)\/main\.ts/.exec(command) ?? []
  if (program || script === 'logs' || script === 'slo') return program ?? script
  return script && `${script}-${instanceOf(pid)}`
}

function instanceOf(pid: number): string | undefined {
  try {
    return /(?:^|\0)INSTANCE=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}
