import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { openQueue } from '@tintype/lib/queue/index.ts'
import { startPostgres } from '../test/postgres.ts'
import { s3Environment, startSeaweed } from '../test/s3-servers.ts'
import type { Tintype } from '../test/service.ts'
import { type Started, startScript } from '../test/support.ts'
import { part, remedy } from '../tools/parts.ts'
import { atOnce, upload } from './load.ts'
import { backlog, drained, type Picture, pictures } from './photos.ts'
import { median, quantile, type Row, row } from './rows.ts'
import { type Bench, startService } from './run.ts'

const full = { rounds: 3, uploads: 60, samples: 20, waits: 200 }
const small = { rounds: 1, uploads: 10, samples: 5, waits: 20 }
const uploaders = 4
const converters = 4

/** PostgreSQL and S3 compared with the embedded queue and folder on this machine, and the gain of more converters. */
export async function scaled(bench: Bench): Promise<Row[]> {
  const { quick, folder, progress, onEnd } = bench
  const [postgres, seaweedfs] = [part('postgres'), part('seaweedfs')]
  if (!postgres || !seaweedfs)
    throw new ExpectedError(`postgres or seaweedfs is missing: ${remedy(['postgres', 'seaweedfs'])}`)
  const sizes = quick ? small : full
  const database = await startPostgres(postgres)
  onEnd(database.stop)
  const bucket = await startSeaweed(seaweedfs)
  onEnd(bucket.stop)
  Object.assign(process.env, s3Environment)
  const engines = { QUEUE_URL: database.newUrl(), STORAGE_URL: bucket.url, ...s3Environment }
  const photos = await pictures(folder, bench.photos, quick)
  const rows = await beside(bench, engines, photos, sizes)
  const speeds = []
  for (const count of [1, converters]) {
    const own = { ...engines, QUEUE_URL: database.newUrl() }
    speeds.push(await waiting(join(folder, `waiting-${count}`), count, own, photos, sizes.waits))
    progress(`${count} converters that wait 200 ms a photo: ${speeds.at(-1)?.toFixed(2)} photos/s`)
  }
  const [one = NaN, many = NaN] = speeds
  return [
    ...rows,
    row('scaled.converters.1', one, 'photos/s'),
    row(`scaled.converters.${converters}`, many, 'photos/s'),
    row('scaled.converters', many / one, 'ratio', '>= 3.8'),
  ]
}

type Form = 'embedded' | 'engines'

/** Both forms take turns: photos a second with several uploaders, and the time of one upload to its thumbnail. */
async function beside(
  bench: Bench,
  engines: Record<string, string>,
  photos: readonly Picture[],
  { rounds, uploads, samples }: typeof full,
): Promise<Row[]> {
  const services: Record<Form, Tintype> = {
    embedded: await startService(bench, 'embedded'),
    engines: await startService(bench, 'engines', engines),
  }
  const rates: Record<Form, number[]> = { embedded: [], engines: [] }
  const times: Record<Form, number[]> = { embedded: [], engines: [] }
  for (let round = 1; round <= rounds; round++)
    for (const form of ['embedded', 'engines'] as const) {
      const { address } = services[form]
      const send = (index: number) => upload(address, photos[index % photos.length] as Picture)
      rates[form].push(uploads / (await atOnce(uploaders, uploads, send)).seconds)
      times[form].push(...(await atOnce(1, samples, send)).eachMs)
      bench.progress(`round ${round}, ${form}: ${rates[form].at(-1)?.toFixed(1)} photos/s`)
    }
  await Promise.all(Object.values(services).map(each => each.stop()))
  return [
    row('scaled.embedded.rate', median(rates.embedded), 'photos/s'),
    row('scaled.engines.rate', median(rates.engines), 'photos/s'),
    row('scaled.rate', median(rates.engines) / median(rates.embedded), 'ratio'),
    row('scaled.latency.p50', median(times.engines) - median(times.embedded), 'ms more'),
    row('scaled.latency.p99', quantile(times.engines, 0.99) - quantile(times.embedded, 0.99), 'ms more'),
  ]
}

/** Photos a second of a backlog, with `count` converters of one slot whose conversions only wait. */
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
          // No log server runs, so the entries stay in the journal.
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
