import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { anyPorts, startUntil } from '../tools/service.ts'
import { digits, estimateRatio, median, type Row, row } from './rows.ts'
import type { Bench } from './run.ts'

const root = join(import.meta.dirname, '..')
/** Caches that a start leaves for the next one: compiled code and compressed pages. */
const caches = ['node', 'pages'].map(name => join(root, 'node_modules/.cache', name))

/**
 * `npm start` until `/readyz` of every service answers 200. Cold: without the caches of this checkout and with a new
 * data folder. Warm: the same start a second time. Each pair also measures the start of an empty Node process.
 */
export async function start({ quick, folder, progress }: Bench): Promise<Row[]> {
  const pairs = quick ? 2 : 5
  const samples: { cold: number; warm: number; node: number }[] = []
  const timed = async (dataDir: string) => {
    const running = await startNpm(dataDir)
    await running.stop()
    return running.seconds
  }
  for (let pair = 1; pair <= pairs; pair++) {
    for (const cache of caches) rmSync(cache, { recursive: true, force: true })
    const dataDir = join(folder, `data-${pair}`)
    const sample = { cold: await timed(dataDir), warm: await timed(dataDir), node: bareNode() }
    progress(`pair ${pair} of ${pairs}: ${digits(sample.cold)} s cold, ${digits(sample.warm)} s warm`)
    samples.push(sample)
  }
  return [
    row('start.warm', median(samples.map(({ warm }) => warm)), 's', '<= 1.5'),
    row('start.cold', median(samples.map(({ cold }) => cold)), 's'),
    row('start.node', median(samples.map(({ node }) => node)), 's'),
    row('start.ratio', estimateRatio(samples.map(({ warm, node }) => warm / node)), 'ratio'),
  ]
}

type Running = { seconds: number; stop(): Promise<void> }

async function startNpm(dataDir: string): Promise<Running> {
  const begun = performance.now()
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: dataDir, ...anyPorts }
  const npm = await startUntil('Tintype is ready', ['npm', 'start', '--silent'], { cwd: root, env })
  const read = (file: string) => JSON.parse(readFileSync(join(dataDir, file), 'utf8'))
  const admins = Object.entries<string>(read('endpoints.json')).filter(([name]) => name.endsWith('Admin'))
  while (!(await Promise.all(admins.map(([, url]) => isReady(url)))).every(Boolean)) {}
  const seconds = (performance.now() - begun) / 1000
  // The launcher is stopped without npm's signal handling, and npm ends with it.
  const { pid } = read('launcher.json')
  const stop = async () => {
    const ended = once(npm.child, 'exit')
    process.kill(pid, 'SIGTERM')
    await ended
  }
  return { seconds, stop }
}

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/readyz`).then(
    answer => answer.text().then(() => answer.ok),
    () => false,
  )

function bareNode(): number {
  const begun = performance.now()
  spawnSync(process.execPath, ['--eval', '0'])
  return (performance.now() - begun) / 1000
}
