import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Person, person } from '../test/client.ts'
import { childrenOf } from '../test/processes.ts'
import { type Started, startScript } from '../test/support.ts'
import { cpuSeconds, memoryMiB } from './pipeline/cpu.ts'
import { type Picture, pictures } from './pipeline/photos.ts'
import { startRaw } from './raw.ts'
import { type Options, quantile, type Row, row } from './rows.ts'

/** Uploads as a share of what raw sharp converts here: with all that belongs to a photo the machine is busy, not overrun. */
const full = { seconds: 60, load: 0.5, looksPerSecond: 50 }
const small = { seconds: 5, load: 0.05, looksPerSecond: 20 }
type Traffic = { seconds: number; uploadsPerSecond: number; looksPerSecond: number }
const settleMs = 120_000

const settings = {
  UPLOADS_PER_MINUTE: '1000000',
  WEB_PORT: '0',
  WEB_ADMIN_PORT: '0',
  CONVERTER_ADMIN_PORT: '0',
}

/** The two designs: which programs make up the service. The first is web. */
const designs = {
  apart: ['services/web/main.ts', 'services/converter/main.ts'],
  inside: ['bench/inside/web.ts'],
} as const
type Design = keyof typeof designs

/** What it costs to convert inside the web process: the same photos at the same rate to both designs, one after the other. */
export async function inside({ quick, photos: from, tell }: Options): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-bench-'))
  try {
    const images = await pictures(folder, from, quick)
    const { load, ...rest } = quick ? small : full
    const traffic = { ...rest, uploadsPerSecond: Math.ceil(load * (await rawSpeed(images))) }
    tell(`${traffic.uploadsPerSecond} photos a second`)
    const rows = [row('inside.rate', traffic.uploadsPerSecond, 'photos/s')]
    for (const design of ['apart', 'inside'] as const)
      rows.push(...(await measure(design, join(folder, design), images, traffic, tell)))
    return rows
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Photos a second. */
async function rawSpeed(images: readonly Picture[]): Promise<number> {
  const raw = startRaw()
  try {
    const files = Array.from({ length: 5 }, () => images.map(({ file }) => file)).flat()
    return files.length / (await raw.convert(files)).seconds
  } finally {
    raw.close()
  }
}

async function measure(
  design: Design,
  dataDir: string,
  images: readonly Picture[],
  { seconds, uploadsPerSecond, looksPerSecond }: Traffic,
  tell: (line: string) => void,
): Promise<Row[]> {
  const environment = { DATA_DIR: dataDir, ...settings }
  const running: Started[] = []
  for (const script of designs[design]) running.push(await startScript(script, environment))
  const [web] = running as [Started, ...Started[]]
  try {
    const address = web.endpoints.web as string
    const someone = person(address)
    const first = await uploaded(someone, images[0] as Picture)
    if (!first) throw new Error('the first photo was refused')
    await someone.settled(first, settleMs)
    const pids = running.map(({ child }) => child.pid as number)
    const cpu = () => pids.map(cpuSeconds)
    const before = cpu()
    const ids: string[] = []
    const [uploads, looks] = await Promise.all([
      atRate(uploadsPerSecond, seconds, async index => {
        const id = await uploaded(someone, images[index % images.length] as Picture)
        if (id) ids.push(id)
      }),
      atRate(looksPerSecond, seconds, () => someone.photo(first)),
    ])
    const settled = await Promise.all(ids.map(id => someone.settled(id, settleMs)))
    const kept = settled.filter(photo => photo.kept).length / (seconds * uploadsPerSecond)
    const used = cpu().map((now, i) => ((now - (before[i] ?? 0)) * 1000) / ids.length)
    tell(`${design}: ${ids.length} photos, ${looks.length} looks`)
    const name = (what: string) => `inside.${design}.${what}`
    return [
      row(name('web.p99'), quantile(looks, 0.99), 'ms'),
      row(name('upload.p99'), quantile(uploads, 0.99), 'ms'),
      row(name('web.cpu'), used[0] ?? 0, 'ms/photo'),
      row(
        name('cpu'),
        used.reduce((a, b) => a + b, 0),
        'ms/photo',
      ),
      row(name('web.memory'), memoryMiB(web.child.pid as number, 'VmHWM'), 'MiB'),
      row(name('kept'), 100 * kept, '%'),
      row(name('crash'), await awayAfterCrash(running, address, environment, design), 's'),
    ]
  } finally {
    for (const each of running) await each.stop('SIGKILL')
  }
}

/** The photo's id; undefined when it was refused for load, which keeps no promise either. */
async function uploaded(someone: Person, { bytes }: Picture): Promise<string | undefined> {
  const answer = await someone.upload(bytes)
  const body = await answer.text()
  if (answer.status === 503) return undefined
  if (answer.status !== 202) throw new Error(`POST /photos answered ${answer.status}: ${body}`)
  return (JSON.parse(body) as { id: string }).id
}

/** Starts at their times, however long others take; gives the milliseconds of each. */
async function atRate(
  perSecond: number,
  seconds: number,
  act: (index: number) => Promise<unknown>,
): Promise<number[]> {
  const all: Promise<number>[] = []
  const begin = performance.now()
  for (let index = 0; index < perSecond * seconds; index++) {
    await setTimeout(Math.max(0, begin + (index * 1000) / perSecond - performance.now()))
    const start = performance.now()
    all.push(act(index).then(() => performance.now() - start))
  }
  return Promise.all(all)
}

/** Seconds without web after a photo killed the process that decoded it, with a launcher that starts it again at once. */
async function awayAfterCrash(
  running: Started[],
  address: string,
  environment: Record<string, string>,
  design: Design,
): Promise<number> {
  const start = performance.now()
  if (design === 'apart') {
    const [decoder] = childrenOf(running[1]?.child.pid as number)
    process.kill(decoder?.pid as number, 'SIGKILL')
  } else {
    await running[0]?.stop('SIGKILL')
    const port = new URL(address).port
    running[0] = await startScript(designs.inside[0], { ...environment, WEB_PORT: port })
  }
  await (await fetch(new URL('/livez', address))).body?.cancel()
  return (performance.now() - start) / 1000
}
