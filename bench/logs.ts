import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startScript } from '../test/support.ts'
import { ingest } from './logs/ingest.ts'
import { writeDay } from './logs/lines.ts'
import { throughKills } from './logs/survival.ts'
import { type Options, quantile, type Row, row } from './rows.ts'

const full = { entries: 5_000_000, batches: 100, writes: 200_000, shipped: 100_000, kills: 20 }
const small = { entries: 80_000, batches: 4, writes: 5_000, shipped: 10_000, kills: 2 }
const streams = 8
const day = '2026-11-20'
const token = 'bench'

/** Ingest with an fsync before each acknowledgement, publish, look-up, the cost of a log call, and kills. */
export async function logs({ quick, tell }: Options): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-bench-'))
  const sizes = quick ? small : full
  try {
    tell(`ingest of ${streams} streams`)
    const ingested = await ingestRows(folder, sizes.batches)
    tell(`writing ${sizes.entries} entries to publish`)
    writeDay(join(folder, 'logs', 'streams'), day, streams, sizes.entries)
    tell('publish')
    const published = await child<{ entries: number; seconds: number; cpuSeconds: number; rssMiB: number }>(
      'publish',
      folder,
      day,
    )
    tell('timelines')
    const timelines = await child<{ ms: number; entries: number }[]>('timeline', folder)
    tell('log calls')
    const written = await child<{ microseconds: number }>(
      'write',
      join(folder, 'journal'),
      String(sizes.writes),
    )
    tell(`${sizes.shipped} entries, the server killed ${sizes.kills} times`)
    return [
      ...ingested,
      row('logs.publish', published.entries / published.seconds, 'entries/s', '>= 300000'),
      row('logs.publish.cpu', (published.cpuSeconds / published.entries) * 1e6, 'µs/entry'),
      row('logs.publish.memory', published.rssMiB, 'MiB', '<= 256'),
      row('logs.timeline', Math.max(...timelines.map(({ ms }) => ms)), 'ms', '<= 200'),
      row('logs.timeline.entries', Math.max(...timelines.map(({ entries }) => entries)), 'entries'),
      row('logs.write', written.microseconds, 'µs CPU/entry', '<= 20'),
      ...(await survivalRows(folder, sizes.shipped, sizes.kills)),
    ]
  } finally {
    await rm(folder, { recursive: true })
  }
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

/** Entries through journal, shipper and server, while the server is killed. */
async function survivalRows(folder: string, entries: number, kills: number): Promise<Row[]> {
  const { entriesPerSecond, lost, doubled } = await throughKills(join(folder, 'kills'), entries, kills)
  return [
    row('logs.kills.rate', entriesPerSecond, 'entries/s'),
    row('logs.kills.lost', lost, 'entries', '<= 0'),
    row('logs.kills.doubled', doubled, 'entries', '<= 0'),
  ]
}

async function child<T>(...args: string[]): Promise<T> {
  const script = join(import.meta.dirname, 'logs', 'child.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args])
  return JSON.parse(stdout)
}
