import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { open as openQueue } from '@tintype/lib/queue/index.ts'
import { person } from '../test/client.ts'
import { startPostgres } from '../test/postgres.ts'
import { s3Environment, startSeaweed } from '../test/s3-servers.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import { type Started, startScript } from '../test/support.ts'
import { part, remedy } from '../tools/parts.ts'
import { backlog, drained, type Picture, pictures } from './pipeline/photos.ts'
import { median, type Options, quantile, type Row, row } from './rows.ts'

const full = { rounds: 3, uploads: 60, samples: 20, waits: 200 }
const small = { rounds: 1, uploads: 10, samples: 5, waits: 20 }
const uploaders = 4
const converters = 4
/** No promise is over, no person too busy. */
const patient = { PROMISE_SECONDS: '3600', UPLOADS_PER_MINUTE: '1000000' }

/** PostgreSQL and S3 beside the embedded queue and folder, on this machine; and what more converters bring. */
export async function scaled({ quick, tell, photos: from }: Options): Promise<Row[]> {
  const [postgres, seaweedfs] = [part('postgres'), part('seaweedfs')]
  if (!postgres || !seaweedfs)
    throw new Error(`postgres or seaweedfs is missing: ${remedy(['postgres', 'seaweedfs'])}`)
  const sizes = quick ? small : full
  const folder = await mkdtemp(join(tmpdir(), 'tintype-bench-'))
  const database = await startPostgres(postgres)
  const bucket = await startSeaweed(seaweedfs)
  Object.assign(process.env, s3Environment)
  const onEngines = { QUEUE_URL: database.newUrl(), STORAGE_URL: bucket.url, ...s3Environment }
  try {
    const photos = await pictures(folder, from, quick)
    const embedded = await startTintype(join(folder, 'embedded'), patient)
    const engines = await startTintype(join(folder, 'engines'), { ...patient, ...onEngines })
    const rows = await beside({ embedded, engines }, photos, sizes, tell).finally(() =>
      Promise.all([embedded.stop(), engines.stop()]),
    )
    const speeds = []
    for (const count of [1, converters]) {
      const given = { ...onEngines, QUEUE_URL: database.newUrl() }
      speeds.push(await waiting(join(folder, `waiting-${count}`), count, given, photos, sizes.waits))
      tell(`${count} converters that wait 200 ms a photo: ${speeds.at(-1)?.toFixed(2)} photos/s`)
    }
    const [one = Number.NaN, many = Number.NaN] = speeds
    return [
      ...rows,
      row('scaled.converters.1', one, 'photos/s'),
      row(`scaled.converters.${converters}`, many, 'photos/s'),
      row('scaled.converters', many / one, 'ratio', '>= 3.8'),
    ]
  } finally {
    await Promise.all([database.stop(), bucket.stop()])
    await rm(folder, { recursive: true, force: true })
  }
}

type Form = 'embedded' | 'engines'

/** Both forms in turns: photos a second with several uploaders, and one upload's time to its thumbnail. */
async function beside(
  services: Record<Form, Tintype>,
  photos: readonly Picture[],
  { rounds, uploads, samples }: typeof full,
  tell: (line: string) => void,
): Promise<Row[]> {
  const rates: Record<Form, number[]> = { embedded: [], engines: [] }
  const times: Record<Form, number[]> = { embedded: [], engines: [] }
  for (let round = 1; round <= rounds; round++)
    for (const form of ['embedded', 'engines'] as const) {
      rates[form].push(uploads / (await upload(services[form], photos, uploads, uploaders)).seconds)
      times[form].push(...(await upload(services[form], photos, samples, 1)).eachMs)
      tell(`round ${round}, ${form}: ${rates[form].at(-1)?.toFixed(1)} photos/s`)
    }
  return [
    row('scaled.embedded.rate', median(rates.embedded), 'photos/s'),
    row('scaled.engines.rate', median(rates.engines), 'photos/s'),
    row('scaled.rate', median(rates.engines) / median(rates.embedded), 'ratio'),
    row('scaled.latency.p50', median(times.engines) - median(times.embedded), 'ms more'),
    row('scaled.latency.p99', quantile(times.engines, 0.99) - quantile(times.embedded, 0.99), 'ms more'),
  ]
}

/** So many uploads, each until its thumbnail is durable, by several people at once. */
async function upload({ address }: Tintype, photos: readonly Picture[], count: number, people: number) {
  const someone = person(address)
  await someone.request('/photos')
  const eachMs: number[] = []
  let next = 0
  const lane = async () => {
    for (let n = next++; n < count; n = next++) {
      const since = performance.now()
      const answer = await someone.upload((photos[n % photos.length] as Picture).bytes, { Prefer: 'wait=60' })
      await answer.arrayBuffer()
      if (answer.status !== 201) throw new Error(`POST /photos answered ${answer.status}`)
      eachMs.push(performance.now() - since)
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: people }, lane))
  return { seconds: (performance.now() - start) / 1000, eachMs }
}

/** Photos a second of a backlog, by so many converters of one slot whose conversions only wait. */
async function waiting(
  dataDir: string,
  count: number,
  engines: Record<string, string> & { QUEUE_URL: string; STORAGE_URL: string },
  photos: readonly Picture[],
  jobs: number,
): Promise<number> {
  const preload = pathToFileURL(join(import.meta.dirname, 'scaled/waiting.ts')).href
  const running: Started[] = []
  const queue = await openQueue(engines.QUEUE_URL)
  try {
    for (let n = 0; n < count; n++)
      running.push(
        await startScript('services/converter/main.ts', {
          ...engines,
          DATA_DIR: dataDir,
          INSTANCE: String(n),
          CONVERTER_SLOTS: '1',
          CONVERTER_ADMIN_PORT: '0',
          // Nobody takes the log.
          LOGS_URL: 'http://127.0.0.1:9',
          NODE_OPTIONS: `--import ${preload}`,
        }),
      )
    const smallest = photos.toSorted((a, b) => a.bytes.length - b.bytes.length).slice(0, 1)
    const work = await backlog(engines.STORAGE_URL, smallest, jobs)
    const start = performance.now()
    await work.enqueue(queue)
    await drained(queue)
    return jobs / ((performance.now() - start) / 1000)
  } finally {
    await queue.close()
    await Promise.all(running.map(each => each.stop()))
  }
}
