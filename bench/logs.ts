import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startScript } from '../test/support.ts'
import { ingest } from './logs/ingest.ts'
import { writeDay } from './logs/lines.ts'

import { survival } from './logs/survival.ts'
import { quantile, type Row, row } from './rows.ts'
import type { Bench } from './run.ts'

const full = { entries: 5_000_000, batches: 100, writes: 200_000, shipped: 100_000, kills: 20 }
const small = { entries: 80_000, batches: 4, writes: 5_000, shipped: 10_000, kills: 2 }
const streams = 8
const day = '2026-11-20'
const token = 'bench'

/** Logs: ingest with an fsync before each ack, publish, look-up, the cost of a log call, and the loss by kills. */
export async function logs({ quick, folder, progress }: Bench): Promise<Row[]> {
  const sizes = quick ? small : full
  progress(`ingest of ${streams} streams`)
  const ingested = await ingestRows(folder, sizes.batches)
  progress(`writing ${sizes.entries} entries to publish`)
  writeDay(join(folder, 'logs', 'streams'), day, streams, sizes.entries)
  progress('publish')
  const published = await child<{ entries: number; seconds: number; cpuSeconds: number; rssMiB: number }>(
    'publish',
    folder,
    day,
  )
  progress('timelines')
  const timelines = await child<{ ms: number; entries: number }[]>('timeline', folder)
  progress('log calls')
  const written = await child<{ microseconds: number }>(
    'write',
    join(folder, 'journal'),
    String(sizes.writes),
  )
  progress(`${sizes.shipped} entries, the server killed ${sizes.kills} times`)
  const survived = await survival(join(folder, 'survival'), sizes.shipped, sizes.kills)
  return [
    ...ingested,
    row('logs.publish', published.entries / published.seconds, 'entries/s', '>= 300000'),
    row('logs.publish.cpu', (published.cpuSeconds / published.entries) * 1e6, 'µs/entry'),
    row('logs.publish.memory', published.rssMiB, 'MiB', '<= 256'),
    row('logs.timeline', Math.max(...timelines.map(({ ms }) => ms)), 'ms', '<= 200'),
    row('logs.timeline.entries', Math.max(...timelines.map(({ entries }) => entries)), 'entries'),
    row('logs.write', written.microseconds, 'µs CPU/entry', '<= 20'),
    row('logs.kills.rate', survived.entriesPerSecond, 'entries/s'),
    row('logs.kills.lost', survived.lost, 'entries', '<= 0'),
    row('logs.kills.doubled', survived.doubled, 'entries', '<= 0'),
  ]
}

async function ingestRows(folder: string, batches: number): Promise<Row[]> {
  const environment = {
    DATA_DIR: folder,
    INGEST_TOKEN: token,
    LOGS_PORT: '0',
    LOGS_ADMIN_PORT: '0',
    LOG_LEVEL: 'error',
  }
  const server = await startScript('services/logs/main.ts', environment, ['serve'])
  try {
    const { entriesPerSecond, ackMs } = await ingest(server.endpoints.logs ?? '', token, streams, batches)
    return [
      row('logs.ingest', entriesPerSecond, 'entries/s', '>= 150000'),
      row('logs.ingest.ack.p99', quantile(ackMs, 0.99), 'ms', '<= 100'),
    ]
  } finally {
    await server.stop()
  }
}

async function child<T>(...args: string[]): Promise<T> {
  const script = join(import.meta.dirname, 'logs', 'child.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args])
  return JSON.parse(stdout)
}
