import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { secret } from '@tintype/lib/secrets.ts'
import { outliveReaders } from '@tintype/lib/terminal.ts'
import type { Config } from '@tintype/lib/variables.ts'
import { backendOf } from './fleet.ts'
import { freePort } from './free-port.ts'
import { launch, type Plan, type Started } from './launcher.ts'
import { type PartName, part, remedy } from './parts.ts'
import { type Fronting, openFront } from './scaled/front.ts'
import { postgres } from './scaled/postgres.ts'
import { seaweedfs, seaweedPorts } from './scaled/seaweedfs.ts'
import type { Endpoints, Service } from './service-types.ts'

const [webs, converters] = [3, 4]

const usage = `npm run scaled

The form for many machines, on this one: HAProxy on WEB_PORT, ${webs} webs, ${converters} converters (CONVERTER_SLOTS=1 each unless set),
one log server, one slo, PostgreSQL and SeaweedFS. Takes the variables of npm start, but sets QUEUE_URL and STORAGE_URL
itself; DATA_DIR/secrets/scaled.env has them for other commands. Restarts what dies; Ctrl-C stops all in order.
Needs Linux and: npm run parts
Example: DATA_DIR=/srv/tintype npm run scaled
Exit status: 0 stopped, 1 it did not start, 2 bad arguments or environment, or a part is missing.`

const partNames = ['haproxy', 'postgres', 'seaweedfs'] as const satisfies readonly PartName[]
const bucket = 'photos'
const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
const webNames = range(webs).map(n => `web-${n}`)
const converterNames = range(converters).map(n => `converter-${n}`)

/** The paths of the parts. @throws ExpectedError naming those that are missing. */
function findParts(): Record<(typeof partNames)[number], string> {
  const missing = partNames.filter(name => !part(name))
  if (missing.length > 0) throw new ExpectedError(`missing: ${missing.join(', ')}; ${remedy(missing)}`)
  return Object.fromEntries(partNames.map(name => [name, part(name)])) as ReturnType<typeof findParts>
}

function planOf(parts: ReturnType<typeof findParts>): Plan {
  let fronting = undefined as unknown as Fronting
  /** The variables by which Tintype's processes find queue and storage. */
  let engines: Record<string, string> = {}

  async function startEngines(config: Config): Promise<Service[]> {
    const folder = resolve(config.DATA_DIR)
    const password = secret('POSTGRES_PASSWORD', '', folder)
    const keys = { accessKeyId: 'tintype', secretAccessKey: randomBytes(24).toString('hex') }
    const [port, ports] = [await freePort(), await seaweedPorts()]
    engines = {
      QUEUE_URL: `postgres://tintype:${password}@127.0.0.1:${port}/postgres?sslmode=disable`,
      STORAGE_URL: `s3://${bucket}?endpoint=http://127.0.0.1:${ports['s3.port']}&region=us-east-1`,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      AWS_SESSION_TOKEN: '',
      AWS_PROFILE: '',
      AWS_EC2_METADATA_DISABLED: 'true',
    }
    const lines = Object.entries(engines).map(([name, value]) => `${name}='${value}'\n`)
    writeFileSync(join(folder, 'secrets', 'scaled.env'), lines.join(''), { mode: 0o600 })
    return [
      await postgres(parts.postgres, join(folder, 'postgres'), port, password),
      seaweedfs(parts.seaweedfs, join(folder, 'seaweedfs'), ports, keys, bucket),
    ]
  }

  /** The first of several processes has the configured port, the others have free ports. */
  const several = (
    names: string[],
    script: string,
    environmentOf: (n: number) => Record<string, string>,
  ): Service[] =>
    names.map((name, n) => ({
      name,
      script,
      args: [],
      environment: { ...engines, INSTANCE: String(n), ...environmentOf(n) },
    }))

  const startOurs = (config: Config): Service[] => [
    ...several(webNames, 'services/web/main.ts', n => ({
      // Behind HAProxy, so that it is not reachable from outside.
      HOST: '127.0.0.1',
      WEB_PORT: '0',
      WEB_ADMIN_PORT: String(n === 0 ? config.WEB_ADMIN_PORT : 0),
    })),
    ...several(converterNames, 'services/converter/main.ts', n => ({
      CONVERTER_ADMIN_PORT: String(n === 0 ? config.CONVERTER_ADMIN_PORT : 0),
      CONVERTER_SLOTS: process.env.CONVERTER_SLOTS || '1',
    })),
  ]

  async function startFront(started: Started, config: Config, socketFolder: string): Promise<Service[]> {
    fronting = await openFront({
      program: parts.haproxy,
      config,
      socketFolder,
      port: config.WEB_PORT || (await freePort()),
      webs: webNames.map(name => backendOf(name, started.get(name) ?? {})),
    })
    return [fronting.service]
  }

  return {
    rows: [
      // logs starts first, because it locks DATA_DIR for this launcher.
      () => [
        { name: 'logs', script: 'services/logs/main.ts', args: ['serve'], environment: { INSTANCE: '0' } },
      ],
      (_started, config) => startEngines(config),
      (_started, config) => startOurs(config),
      startFront,
      () => [
        { name: 'slo', script: 'slo/main.ts', args: ['serve'], environment: { ...engines, INSTANCE: '0' } },
      ],
    ],
    stopOrder: [['haproxy', ...webNames], converterNames, ['slo'], ['logs'], ['postgres', 'seaweedfs']],
    front: () => fronting,
    publish(started) {
      const all = [...started].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoints]) => endpoints)
      const [webs, converters] = [all.filter(each => each.webAdmin), all.filter(each => each.converterAdmin)]
      // The first web and converter are named as in npm start; `web` is HAProxy's address.
      const others = ['logs', 'slo', 'haproxy'].map(name => started.get(name))
      const addresses: Endpoints = Object.assign({}, webs[0], converters[0], ...others)
      return { ...addresses, web: addresses.web ?? '', webs, converters }
    },
  }
}

outliveReaders()
const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => {
  readArguments(args, {})
  return launch(planOf(findParts()))
})
