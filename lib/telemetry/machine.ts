import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { cached } from '../cached.ts'
import { errorCode, orElse } from '../errors.ts'
import { machineCpuModes, pressures } from './catalogue.ts'
import type { Metrics } from './metrics.ts'

const unknown = NaN
const unknownDisk = { bavail: unknown, blocks: unknown, frsize: 1, files: unknown, ffree: unknown }

/**
 * Resources of the machine and this process's share of them, read at each scrape: processors, pressure, descriptors,
 * the clock, and the free space of `folders`. /proc is read synchronously, because it waits for no disk: a slow disk
 * keeps all of Node's file threads busy just when the metrics are needed.
 */
export function watchMachine(metrics: Metrics, folders: readonly string[]): void {
  metrics.onScrape(() => {
    const cpu = cpuSeconds()
    for (const mode of machineCpuModes)
      metrics.follow('tintype_machine_cpu_seconds_total', { mode }, cpu[mode])
    for (const resource of pressures)
      metrics.follow('tintype_machine_pressure_seconds_total', { resource }, pressureSeconds(resource))
    metrics.follow('tintype_processor_wait_seconds_total', {}, processorWaitSeconds())
    metrics.follow('tintype_machine_oom_kills_total', {}, oomKills())
    metrics.set('tintype_descriptors_used_ratio', {}, descriptorsUsed())
    metrics.set('tintype_clock_seconds', {}, Date.now() / 1000)
  })
  watchDisk(metrics, folders)
  watchEventLoop(metrics)
}

/** Interval of the timer that measures pauses of the event loop. Shorter pauses may be missed. */
const lookMs = 50

/** Counts half the square of each pause of the event loop. Each scrape resets prom-client's lag, even a failed one. */
function watchEventLoop(metrics: Metrics): void {
  let last = performance.now()
  setInterval(() => {
    const now = performance.now()
    const late = now - last - lookMs
    last = now
    if (late > lookMs) metrics.increment('tintype_event_loop_wait_seconds_total', {}, (late / 1000) ** 2 / 2)
  }, lookMs).unref()
}

/** A scrape waits at most this long for a disk. Until the disk answers it shows the last known value. */
const diskAnswerMs = 100

/** The free space of the fullest file system of `folders`, and the fewest free files of one, read at each scrape. */
export function watchDisk(metrics: Metrics, folders: readonly string[]): void {
  const look = cached(0, async () => {
    // A missing folder gives NaN: a number would be read as free space.
    const disks = await Promise.all(folders.map(folder => statfs(folder).catch(() => unknownDisk)))
    // Some FUSE file systems do not say their size and report 0 of 0.
    const disk = fullest(disks.filter(({ blocks }) => blocks !== 0))
    // `bsize` is the size of a transfer, which is 256 times as large on virtiofs.
    metrics.set('tintype_disk_free_bytes', {}, disk.bavail * disk.frsize)
    metrics.set('tintype_disk_size_bytes', {}, disk.blocks * disk.frsize)
    // Btrfs and ZFS have no limit on files and report 0 of 0.
    const files = disks.filter(({ files }) => files !== 0).map(({ ffree }) => ffree)
    metrics.set('tintype_disk_free_files', {}, files.length > 0 ? Math.min(...files) : unknown)
  })
  metrics.onScrape(() => Promise.race([look(), sleep(diskAnswerMs, undefined, { ref: false })]))
}

const fullest = (disks: (typeof unknownDisk)[]) =>
  disks.find(disk => disk === unknownDisk) ??
  disks.reduce((a, b) => (a.bavail * b.blocks <= b.bavail * a.blocks ? a : b), unknownDisk)

/** Share of used descriptors. When the process or the system (ENFILE) can open no more, reading the folder fails, too. */
function descriptorsUsed(): number {
  try {
    return Math.min(1, readdirSync('/proc/self/fd').length / mostFiles())
  } catch (error) {
    return /^E[MN]FILE$/.test(errorCode(error) ?? '') ? 1 : 0
  }
}

/** How many files the system lets this process open; Infinity where it does not say. @throws EMFILE when all are open. */
export function mostFiles(): number {
  const limits = existsSync('/proc/self/limits') ? readFileSync('/proc/self/limits', 'utf8') : ''
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity)
}

/** CPU seconds of the machine. A processor without work that waits for a disk is idle; Node leaves that time out. */
export function cpuSeconds(): { busy: number; idle: number } {
  let [busy, idle] = [0, Number(proc('stat').split(/ +/, 6)[5] ?? 0) / 100]
  for (const { times } of cpus()) {
    idle += times.idle / 1000
    busy += (times.user + times.nice + times.sys + times.irq) / 1000
  }
  return { busy, idle }
}

/** `some … total=MICROSECONDS` of /proc/pressure; 0 where there is none (not Linux, or not compiled in). */
const pressureSeconds = (resource: (typeof pressures)[number]): number =>
  Number(/^some .*total=(\d+)/m.exec(proc(`pressure/${resource}`))?.[1] ?? 0) / 1e6

/** The text of a file of /proc; empty when it cannot be read. */
export const proc = (file: string): string => orElse('', () => readFileSync(`/proc/${file}`, 'utf8'))

/** The second number, in ns, is the waiting time. The file describes the first thread, which runs the event loop. */
const processorWaitSeconds = (): number => Number(proc('self/schedstat').split(' ')[1] ?? 0) / 1e9

/** Processes of this machine that the kernel killed because memory ran out; 0 where it does not report it. */
export const oomKills = (): number => Number(/^oom_kill (\d+)/m.exec(proc('vmstat'))?.[1] ?? 0)
