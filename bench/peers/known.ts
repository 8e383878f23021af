import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../tools/free-port.ts'
import { cache } from '../../tools/parts/install.ts'
import type { Bench } from '../run.ts'

export type Peer = {
  name: string
  /** The command that installs the peer into `into`, which is .parts/NAME. */
  install: (into: string) => { command: string; args: string[]; environment?: Record<string, string> }
  /** The command that serves a folder's photos on a port. */
  start: (
    into: string,
    folder: string,
    port: number,
  ) => { command: string; args: string[]; environment?: Record<string, string> }
  /** The path of a photo's thumbnail: JPEG, at most 320 pixels a side. */
  path: (file: string) => string
}

/** Each program, installed as its documentation says, with the processes or threads that it chooses on two cores. */
export const peers: readonly Peer[] = [
  {
    name: 'imgproxy',
    // Needs Debian's libvips-dev and pkg-config.
    install: into => ({
      command: 'go',
      args: ['install', 'github.com/imgproxy/imgproxy/v3@v3.30.1'],
      environment: { GOBIN: join(into, 'bin') },
    }),
    start: (into, folder, port) => ({
      command: join(into, 'bin/imgproxy'),
      args: [],
      environment: {
        IMGPROXY_BIND: `127.0.0.1:${port}`,
        IMGPROXY_LOCAL_FILESYSTEM_ROOT: folder,
        IMGPROXY_LOG_LEVEL: 'error',
      },
    }),
    path: file => `/insecure/rs:fit:320:320/plain/local:///${file}@jpg`,
  },
  {
    name: 'ipx',
    install: into => ({
      command: 'npm',
      args: ['install', '--prefix', into, '--no-audit', '--no-fund', '--no-save', 'ipx@3.1.1'],
    }),
    start: (into, folder, port) => ({
      command: process.execPath,
      args: [join(into, 'node_modules/ipx/bin/ipx.mjs'), 'serve'],
      environment: { IPX_FS_DIR: folder, PORT: String(port), HOST: '127.0.0.1' },
    }),
    path: file => `/fit_inside,s_320x320,f_jpeg/${file}`,
  },
  {
    name: 'thumbor',
    install: into => ({
      command: 'python3',
      args: ['-m', 'pip', 'install', '--quiet', '--target', into, 'thumbor==7.8.0'],
    }),
    start(into, folder, port) {
      const config = join(folder, 'thumbor.conf')
      writeFileSync(
        config,
        `LOADER = 'thumbor.loaders.file_loader'
FILE_LOADER_ROOT_PATH = '${folder}'
STORAGE = 'thumbor.storages.no_storage'
RESPECT_ORIENTATION = True
`,
      )
      return {
        command: 'python3',
        args: ['-m', 'thumbor.server', '-p', String(port), '-i', '127.0.0.1', '-c', config, '--processes=2'],
        environment: { PYTHONPATH: into },
      }
    },
    path: file => `/unsafe/fit-in/320x320/filters:format(jpeg)/${file}`,
  },
]

const startMs = 20_000

/** Installs a peer if needed and starts it. Returns undefined and shows the reason where it is not available. */
export async function startPeer(
  { name, install, start }: Peer,
  folder: string,
  { progress, onEnd }: Pick<Bench, 'progress' | 'onEnd'>,
): Promise<{ address: string; pid: number } | undefined> {
  const into = join(cache, name)
  // Written last, so that an interrupted installation is repeated.
  const done = join(into, 'installed')
  if (!existsSync(done)) {
    const { command, args, environment } = install(into)
    progress(`installs ${name} into .parts/${name}: ${command} ${args.join(' ')}`)
    rmSync(into, { recursive: true, force: true })
    mkdirSync(into, { recursive: true })
    try {
      execFileSync(command, args, {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, ...environment },
      })
    } catch (error) {
      const why = String((error as { stderr?: Buffer }).stderr ?? error).trim()
      rmSync(into, { recursive: true })
      progress(`${name} is not available here: ${why.split('\n').at(-1)?.trim()}`)
      return undefined
    }
    writeFileSync(done, '')
  }
  const port = await freePort()
  const { command, args, environment } = start(into, folder, port)
  const child = spawn(command, args, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...environment },
    // A process group, so that thumbor's workers also end.
    detached: true,
  })
  let errors = ''
  child.stderr.on('data', chunk => {
    errors = `${errors}${chunk}`.slice(-2_000)
  })
  const runs = () => child.exitCode === null && child.signalCode === null
  onEnd(() => runs() && process.kill(-(child.pid as number), 'SIGKILL'))
  const address = `http://127.0.0.1:${port}`
  for (const deadline = Date.now() + startMs; Date.now() < deadline && runs(); await sleep(100))
    if (await fetch(address).then(Boolean, () => false)) return { address, pid: child.pid as number }
  progress(`${name} does not start here: ${errors}`)
  return undefined
}
