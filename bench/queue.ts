import { join } from 'node:path'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { startPostgres } from '../test/postgres.ts'
import { part, remedy } from '../tools/parts.ts'
import { openSide } from './queue/side.ts'
import { median, quantile, type Row, row } from './rows.ts'
import type { Bench } from './run.ts'

const full = { rounds: 3, photos: 10_000, wakes: 300 }
const small = { rounds: 1, photos: 300, wakes: 20 }
const lanes = 8
const pauseMs = 15

/** The queue's engines: photos a second through durable enqueue, claim and complete, and how soon a worker wakes. */
export async function queue({ quick, folder, progress, onEnd }: Bench): Promise<Row[]> {
  const program = part('postgres')
  if (!program) throw new ExpectedError(`postgres is missing: ${remedy(['postgres'])}`)
  const sizes = quick ? small : full
  const server = await startPostgres(program)
  onEnd(server.stop)
  const urls = {
    sqlite: (round: number) => `sqlite:${join(folder, `${round}`, 'queue.sqlite')}`,
    postgres: () => server.newUrl(),
  }
  const rates: Record<keyof typeof urls, number[]> = { sqlite: [], postgres: [] }
  const wakes: Record<keyof typeof urls, number[]> = { sqlite: [], postgres: [] }
  for (let round = 1; round <= sizes.rounds; round++) {
    for (const engine of ['sqlite', 'postgres'] as const) {
      const url = urls[engine](round)
      rates[engine].push(await rate(url, sizes.photos))
      wakes[engine].push(...(await wake(url, sizes.wakes)))
      progress(`${engine}: ${Math.round(rates[engine].at(-1) ?? 0)} photos/s`)
    }
  }
  const best = { sqlite: Math.max(...rates.sqlite), postgres: Math.max(...rates.postgres) }
  return [
    row('queue.sqlite.rate', best.sqlite, 'photos/s'),
    row('queue.postgres.rate', best.postgres, 'photos/s', '>= 1500'),
    row('queue.postgres.ratio', best.postgres / best.sqlite, 'ratio'),
    row('queue.sqlite.wake.p50', median(wakes.sqlite), 'ms'),
    row('queue.sqlite.wake.p99', quantile(wakes.sqlite, 0.99), 'ms'),
    row('queue.postgres.wake.p50', median(wakes.postgres), 'ms'),
    row('queue.postgres.wake.p99', quantile(wakes.postgres, 0.99), 'ms', '<= 10'),
  ]
}

/** Photos a second, from the first enqueue to the last complete. */
async function rate(url: string, photos: number): Promise<number> {
  const producers = await openSide(url)
  const consumers = await openSide(url)
  const start = performance.now()
  await Promise.all([
    producers.run({ do: 'produce', photos, lanes }),
    consumers.run({ do: 'consume', photos, lanes }),
  ])
  const seconds = (performance.now() - start) / 1000
  await Promise.all([producers.close(), consumers.close()])
  return photos / seconds
}

/** Milliseconds from each photo's acknowledgement in one process to its claim by an idle worker in another. */
async function wake(url: string, photos: number): Promise<number[]> {
  const producer = await openSide(url)
  const consumer = await openSide(url)
  const [enqueued, claimed] = await Promise.all([
    producer.run({ do: 'trickle', photos, pauseMs }),
    consumer.run({ do: 'consume', photos, lanes: 1 }),
  ])
  await Promise.all([producer.close(), consumer.close()])
  return Object.entries(enqueued).map(([photo, at]) => Math.max(0, (claimed[photo] ?? NaN) - at))
}
