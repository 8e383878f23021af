import { readdir, readFile, statfs } from 'node:fs/promises'
import { cpus } from 'node:os'
import { pressures } from './catalogue.ts'
import type { Metrics } from './metrics.ts'

type Disk = { bavail: number; blocks: number; bsize: number; ffree: number }

const unknownDisk: Disk = { bavail: Number.NaN, blocks: Number.NaN, bsize: 1, ffree: Number.NaN }

/**
 * What this process shares with everyone on its machine, and what the machine lets it have, read at each scrape:
 * processors, pressure, descriptors, the clock, and the room for what `folders` hold.
 */
export function watchMachine(metrics: Metrics, folders: readonly string[]): void {
  const grow = counterOf()
  metrics.onScrape(async () => {
    for (const [mode, seconds] of Object.entries(cpuSeconds()))
      grow(`cpu ${mode}`, seconds, by =>
        metrics.increment('tintype_machine_cpu_seconds_total', { mode: mode as 'busy' | 'idle' }, by),
      )
    for (const resource of pressures) {
      const seconds = await pressureSeconds(resource)
      grow(`pressure ${resource}`, seconds, by =>
        metrics.increment('tintype_machine_pressure_seconds_total', { resource }, by),
      )
    }
    grow('processor wait', await processorWaitSeconds(), by =>
      metrics.increment('tintype_processor_wait_seconds_total', {}, by),
    )
    grow('oom kills', await oomKills(), by => metrics.increment('tintype_machine_oom_kills_total', {}, by))
    metrics.set('tintype_descriptors_used_ratio', {}, await descriptorsUsed())
    metrics.set('tintype_clock_seconds', {}, Date.now() / 1000)
  })
  watchDisk(metrics, folders)
}

/** The room of the fullest file system of those that `folders` are on, read at each scrape. */
export function watchDisk(metrics: Metrics, folders: readonly string[]): void {
  metrics.onScrape(async () => {
    // A folder that is gone has no size: not a number, which nobody can take for room.
    const disks = await Promise.all(folders.map(folder => statfs(folder).catch(() => unknownDisk)))
    const disk = fullest(disks)
    metrics.set('tintype_disk_free_bytes', {}, disk.bavail * disk.bsize)
    metrics.set('tintype_disk_size_bytes', {}, disk.blocks * disk.bsize)
    metrics.set('tintype_disk_free_files', {}, disk.ffree)
  })
}

const fullest = (disks: readonly Disk[]): Disk =>
  disks.reduce((a, b) => (a.bavail * b.blocks <= b.bavail * a.blocks ? a : b))

/** prom-client reads the limit only once, and neither number when no file can be opened any more: that is 1. */
async function descriptorsUsed(): Promise<number> {
  try {
    const [open, limits] = await Promise.all([
      readdir('/proc/self/fd'),
      readFile('/proc/self/limits', 'utf8'),
    ])
    const limit = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
    return Math.min(1, open.length / limit)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EMFILE' ? 1 : 0
  }
}

/** Turns totals since the machine's boot into counters since ours: a value that went back adds nothing. */
function counterOf() {
  const last = new Map<string, number>()
  return (name: string, total: number, add: (by: number) => void): void => {
    const before = last.get(name)
    last.set(name, total)
    if (before !== undefined && total > before) add(total - before)
  }
}

function cpuSeconds(): { busy: number; idle: number } {
  let [busy, idle] = [0, 0]
  for (const { times } of cpus()) {
    idle += times.idle / 1000
    busy += (times.user + times.nice + times.sys + times.irq) / 1000
  }
  return { busy, idle }
}

/** `some … total=MICROSECONDS` of /proc/pressure; 0 where there is none (not Linux, or not compiled in). */
async function pressureSeconds(resource: (typeof pressures)[number]): Promise<number> {
  return Number(/^some .*total=(\d+)/m.exec(await proc(`pressure/${resource}`))?.[1] ?? 0) / 1e6
}

const proc = (file: string): Promise<string> => readFile(`/proc/${file}`, 'utf8').catch(() => '')

/** The second number, in nanoseconds; the file of a process is that of its first thread, which runs the event loop. */
const processorWaitSeconds = async (): Promise<number> =>
  Number((await proc('self/schedstat')).split(' ')[1] ?? 0) / 1e9

const oomKills = async (): Promise<number> => Number(/^oom_kill (\d+)/m.exec(await proc('vmstat'))?.[1] ?? 0)
