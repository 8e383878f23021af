import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { bracketed, urlHere } from '@tintype/lib/loopback.ts'
import type { Config } from '@tintype/lib/variables.ts'
import { freePort } from '../free-port.ts'
import type { Service } from '../service-types.ts'
import { type Backend, type Color, checks, colors, haproxyConfig, serverOf, shareFile } from './haproxy.ts'

/** HAProxy in front of the web processes of one version, or of two during a release. */
export type Fronting = {
  service: Service
  /** Adds a backend without a restart: a command changes the running HAProxy, and the files its next start. */
  add(color: Color, backend: Backend): Promise<void>
  remove(color: Color, name: string): Promise<void>
  /** Sets green's percentage of customers, with `keep` also for HAProxy's next start. */
  share(green: number, keep: boolean): Promise<void>
  /** The version that gets all customers when HAProxy starts. */
  serving(): Color
}

type Options = {
  program: string
  config: Config
  /** The socket's folder, with a short path. */
  socketFolder: string
  port: number
  webs: readonly Backend[]
}

export async function openFront({ program, config, socketFolder, port, webs }: Options): Promise<Fronting> {
  const { HOST, DATA_DIR, GRACE_SECONDS: graceSeconds } = config
  const folder = resolve(DATA_DIR, 'haproxy')
  mkdirSync(folder, { recursive: true })
  const front = { host: bracketed(HOST), port, adminPort: await freePort() }
  const file = join(folder, 'haproxy.cfg')
  const socket = join(socketFolder, 'haproxy.sock')
  const standing: Record<Color, Backend[]> = { blue: [...webs], green: [] }
  let kept = 0
  const write = () => {
    writeFileSync(file, haproxyConfig(front, standing, graceSeconds, socket))
    writeFileSync(join(folder, shareFile), `green ${kept}\n`)
  }
  write()
  /** Sends a command. @throws Error when HAProxy refuses: versions before 2.6 cannot add a server while running. */
  const send = async (command: string) => {
    const answer = (await ask(socket, command)).trim()
    if (answer && answer !== 'New server registered.')
      throw new Error(`HAProxy refused "${command}": ${answer}`)
  }
  const endpoints = {
    web: urlHere(HOST, port),
    haproxyAdmin: `http://127.0.0.1:${front.adminPort}`,
  }
  return {
    service: {
      name: 'haproxy',
      program,
      args: ['-db', '-C', folder, '-f', file],
      folder,
      // With this signal HAProxy finishes its requests.
      stopSignal: 'SIGUSR1',
      answers: () =>
        fetch(`${endpoints.haproxyAdmin}/livez`).then(
          ({ ok }) => (ok ? endpoints : undefined),
          () => undefined,
        ),
    },
    async add(color, backend) {
      standing[color].push(backend)
      write()
      const server = `${color}/${backend.name}`
      await send(`add server ${server} ${serverOf(backend)} ${checks}`)
      await send(`enable health ${server}`)
      await send(`enable server ${server}`)
    },
    async remove(color, name) {
      standing[color] = standing[color].filter(each => each.name !== name)
      write()
      // Errors are ignored: after a restart HAProxy no longer knows the server.
      for (const command of ['set server % state maint', 'shutdown sessions server %', 'del server %'])
        await ask(socket, command.replace('%', `${color}/${name}`))
    },
    async share(green, keep) {
      await send(`set map ${shareFile} green ${green}`)
      // Afterwards: when HAProxy refuses, the way back goes by `kept`.
      if (!keep) return
      kept = green
      write()
    },
    serving: () => (kept === 100 ? 'green' : (colors[0] as Color)),
  }
}

/** Sends a command to HAProxy's runtime API and resolves with its answer. */
async function ask(socket: string, command: string): Promise<string> {
  const connection = connect(socket)
  connection.end(`${command}\n`)
  return text(connection)
}
