import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Service } from '../supervise.ts'
import { type Backend, type Color, checks, colors, type Front, haproxyConfig, serverOf } from './haproxy.ts'

/** HAProxy before the webs of one version, or of two while a release runs. */
export type Fronting = {
  service: Service
  /** What runs on: the files say what HAProxy shall do when it starts again, the commands what it shall do now. */
  add(color: Color, backend: Backend): Promise<void>
  remove(color: Color, name: string): Promise<void>
  /** Green's customers of a hundred, as of now; `keep`: also when HAProxy starts again. */
  share(green: number, keep: boolean): Promise<void>
  /** Which version has all customers when nothing else was said. */
  serving(): Color
}

type Options = {
  program: string
  folder: string
  /** A short path, for its socket. */
  socketFolder: string
  front: Front
  webs: readonly Backend[]
  graceSeconds: number
}

export function openFront({ program, folder, socketFolder, front, webs, graceSeconds }: Options): Fronting {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'haproxy.cfg')
  const control = { socket: join(socketFolder, 'haproxy.sock'), shareFile: join(folder, 'share.map') }
  const standing: Record<Color, Backend[]> = { blue: [...webs], green: [] }
  let kept = 0
  const write = () => {
    writeFileSync(file, haproxyConfig(front, standing, graceSeconds, control))
    writeFileSync(control.shareFile, `green ${kept}\n`)
  }
  write()
  const tell = (command: string) => ask(control.socket, command)
  const here = front.host.replace('0.0.0.0', '127.0.0.1').replace('[::]', '[::1]')
  const endpoints = {
    web: `http://${here}:${front.port}`,
    haproxyAdmin: `http://127.0.0.1:${front.adminPort}`,
  }
  return {
    service: {
      name: 'haproxy',
      program,
      args: ['-db', '-f', file],
      folder,
      // It lets requests end.
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
      await tell(`add server ${server} ${serverOf(backend)} ${checks}`)
      await tell(`enable health ${server}`)
      await tell(`enable server ${server}`)
    },
    async remove(color, name) {
      standing[color] = standing[color].filter(each => each.name !== name)
      write()
      await tell(`set server ${color}/${name} state maint`)
      await tell(`shutdown sessions server ${color}/${name}`)
      await tell(`del server ${color}/${name}`)
    },
    async share(green, keep) {
      if (keep) {
        kept = green
        write()
      }
      await tell(`set map ${control.shareFile} green ${green}`)
    },
    serving: () => (kept === 100 ? 'green' : (colors[0] as Color)),
  }
}

/** A command to HAProxy's runtime API; gives its answer. */
async function ask(socket: string, command: string): Promise<string> {
  const connection = connect(socket)
  connection.end(`${command}\n`)
  return text(connection)
}
