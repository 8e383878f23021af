import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { constants, setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Queue } from '@tintype/lib/queue/index.ts'
import { storageUrl } from '@tintype/lib/storage/index.ts'
import { type Person, type Photo, person } from '../test/client.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import { cpuSeconds } from './pipeline/cpu.ts'
import { durableUploadSeconds } from './pipeline/disk.ts'
import { backlog, drained, type Picture, pictures, queueOf } from './pipeline/photos.ts'
import { stock } from './pipeline/stock.ts'
import { type Raw, startRaw } from './raw.ts'
import { median, type Options, quantile, type Row, row } from './rows.ts'

const full = { rounds: 3, backlog: 500, uploads: 200, samples: 200, statusSeconds: 8, stock: 1_000_000 }
const small = { rounds: 2, backlog: 40, uploads: 20, samples: 20, statusSeconds: 2, stock: 20_000 }
const fewStored = 1_000
/** So many people upload at once where throughput counts. */
const uploaders = 4
const statusPerSecond = 100

/** The service with nothing in its way: no promise is over, no person too busy. */
const environment = { PROMISE_SECONDS: '3600', UPLOADS_PER_MINUTE: '1000000' }

type Bench = Omit<Options, 'photos'> & {
  folder: string
  sizes: typeof full
  tintype: Tintype
  queue: Queue
  raw: Raw
  photos: Picture[]
  someone: Person
}

/** Issue by issue what the pipeline promises: throughput, CPU, latency, isolation and scale, beside raw sharp. */
export async function pipeline(options: Options): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-bench-'))
  const sizes = options.quick ? small : full
  const photos = await pictures(folder, options.photos, options.quick)
  options.tell(`${photos.length} photos, ${Math.round(meanBytes(photos) / 1024)} KiB each on average`)
  const tintype = await startTintype(join(folder, 'data'), environment)
  const queue = await queueOf(tintype.dataDir)
  const raw = startRaw()
  const someone = person(tintype.address)
  const bench: Bench = { ...options, folder, sizes, tintype, queue, raw, photos, someone }
  try {
    const rows = [...(await drain(bench)), ...(await latency(bench)), ...(await status(bench))]
    await tintype.stop()
    return [...rows, ...(await scale(bench))]
  } finally {
    await queue.close()
    raw.close()
    await tintype.stop('SIGKILL')
    // The promise of node:fs looks at all million folders at once, in 8 GB.
    rmSync(folder, { recursive: true, force: true })
  }
}

const meanBytes = (photos: Picture[]) =>
  photos.reduce((sum, { bytes }) => sum + bytes.length, 0) / photos.length
/** What was written before must not be flushed to disk in the middle of what is measured. */
const settleDisk = () => spawnSync('sync')

/** Throughput of a backlog, and CPU of whole uploads, each beside raw sharp on the same files, in turns. */
async function drain({ tintype, queue, raw, photos, sizes, someone, tell }: Bench): Promise<Row[]> {
  const speeds: number[] = []
  const costs: number[] = []
  for (let round = 1; round <= sizes.rounds; round++) {
    const work = await backlog(storageUrl('', tintype.dataDir), photos, sizes.backlog)
    settleDisk()
    const yardstick = await raw.convert(work.files)
    const start = performance.now()
    await work.enqueue(queue)
    await drained(queue)
    const seconds = (performance.now() - start) / 1000
    speeds.push(yardstick.seconds / seconds)

    settleDisk()
    const before = cpuSeconds(tintype.pid)
    await uploadAll(someone, photos, sizes.uploads)
    await drained(queue)
    const cpu = (cpuSeconds(tintype.pid) - before) / sizes.uploads
    costs.push(cpu / (yardstick.cpuSeconds / sizes.backlog))
    tell(
      `round ${round}: ${(sizes.backlog / seconds).toFixed(1)} photos/s, raw sharp ` +
        `${(sizes.backlog / yardstick.seconds).toFixed(1)}; ${(cpu * 1000).toFixed(1)} ms of CPU an upload, raw sharp ` +
        `${((yardstick.cpuSeconds / sizes.backlog) * 1000).toFixed(1)}`,
    )
  }
  return [
    row('pipeline.drain', median(speeds), 'ratio', '>= 0.90'),
    row('pipeline.cpu', median(costs), 'ratio', '<= 1.20'),
  ]
}

async function uploadAll(someone: Person, photos: Picture[], count: number): Promise<void> {
  await someone.request('/photos')
  let next = 0
  const lane = async () => {
    for (let index = next++; index < count; index = next++) {
      const { bytes } = photos[index % photos.length] as Picture
      const answer = await someone.upload(bytes)
      if (answer.status !== 202)
        throw new Error(`POST /photos answered ${answer.status}: ${await answer.text()}`)
      await answer.body?.cancel()
    }
  }
  await Promise.all(Array.from({ length: uploaders }, lane))
}

/** One upload at a time: what we add to the conversion itself and to the disk's own time. */
async function latency({ folder, raw, photos, sizes, someone }: Bench): Promise<Row[]> {
  const added: number[] = []
  const disk: number[] = []
  for (let index = 0; index < sizes.samples; index++) {
    const { file, bytes } = photos[index % photos.length] as Picture
    disk.push((await durableUploadSeconds(folder, bytes)) * 1000)
    const [conversion = 0] = (await raw.convert([file, file], 1)).photoSeconds.slice(1)
    const start = performance.now()
    const answer = await someone.upload(bytes, { Prefer: 'wait=60' })
    await answer.arrayBuffer()
    if (answer.status !== 201) throw new Error(`POST /photos answered ${answer.status}`)
    added.push(performance.now() - start - conversion * 1000)
  }
  const [p50, p99] = [quantile(disk, 0.5), quantile(disk, 0.99)]
  return [
    row('pipeline.disk.p50', p50, 'ms'),
    row('pipeline.disk.p99', p99, 'ms'),
    row('pipeline.latency.p50', quantile(added, 0.5) - p50, 'ms', '<= 15'),
    row('pipeline.latency.p99', quantile(added, 0.99) - p99, 'ms', '<= 60'),
  ]
}

/** GET /photos/{id} at a steady rate, with idle and with busy converters in turns. */
async function status({ tintype, queue, photos, sizes, someone, tell }: Bench): Promise<Row[]> {
  const answer = await someone.upload((photos[0] as Picture).bytes, { Prefer: 'wait=60' })
  const { id } = (await answer.json()) as Photo
  const idle: number[] = []
  const busy: number[] = []
  for (let round = 1; round <= sizes.rounds; round++) {
    const work = await backlog(storageUrl('', tintype.dataDir), photos, sizes.backlog)
    settleDisk()
    // The person's own machine is another one: its clock must not wait for our converters.
    prefer(constants.priority.PRIORITY_HIGHEST)
    idle.push(...(await poll(someone, id, sizes.statusSeconds, async () => true)))
    await work.enqueue(queue)
    busy.push(...(await poll(someone, id, sizes.statusSeconds, async () => (await queue.stats()).depth > 0)))
    prefer(constants.priority.PRIORITY_NORMAL)
    await drained(queue)
  }
  tell(`status: ${idle.length} requests idle, ${busy.length} busy`)
  return [
    row('pipeline.status.idle.p99', quantile(idle, 0.99), 'ms'),
    row('pipeline.status.busy.p99', quantile(busy, 0.99), 'ms'),
    row('pipeline.status', quantile(busy, 0.99) / quantile(idle, 0.99), 'ratio', '<= 2'),
  ]
}

function prefer(priority: number): void {
  try {
    setPriority(priority)
  } catch {
    // Only root may; without it the numbers hold some of our own waiting.
  }
}

/** Milliseconds of each request; they start at their times, however long others take. Ends early when not `going`. */
async function poll(
  someone: Person,
  id: string,
  seconds: number,
  going: () => Promise<boolean>,
): Promise<number[]> {
  const requests: Promise<number>[] = []
  const end = performance.now() + seconds * 1000
  for (let at = performance.now(); at < end; at += 1000 / statusPerSecond) {
    await setTimeout(Math.max(0, at - performance.now()))
    if (requests.length % statusPerSecond === 0 && !(await going())) break
    requests.push(
      (async () => {
        const start = performance.now()
        await (await someone.request(`/photos/${id}`)).arrayBuffer()
        return performance.now() - start
      })(),
    )
  }
  return Promise.all(requests)
}

/** Uploads to a service that holds a million photos and to one that holds a thousand, in turns. */
async function scale({ folder, photos, sizes, tell }: Bench): Promise<Row[]> {
  const services: Tintype[] = []
  try {
    for (const count of [fewStored, sizes.stock]) {
      const dataDir = join(folder, `stock-${count}`)
      await stock(dataDir, count, tell)
      services.push(await startTintype(dataDir, environment))
    }
    settleDisk()
    const people = services.map(({ address }) => person(address))
    const taken: number[][] = services.map(() => [])
    for (let index = 0; index < sizes.samples; index++) {
      const { bytes } = photos[index % photos.length] as Picture
      for (const [which, someone] of people.entries()) {
        const start = performance.now()
        await (await someone.upload(bytes, { Prefer: 'wait=60' })).arrayBuffer()
        taken[which]?.push(performance.now() - start)
      }
    }
    const [few = [], many = []] = taken
    return [
      row('pipeline.scale.few', median(few), 'ms'),
      row('pipeline.scale.many', median(many), 'ms'),
      row('pipeline.scale', median(many) / median(few), 'ratio', '<= 1.2'),
    ]
  } finally {
    for (const service of services) await service.stop()
  }
}
