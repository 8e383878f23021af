import { readFile, statfs } from 'node:fs/promises'
import { cpus } from 'node:os'
import { pressures } from './catalogue.ts'
import type { Metrics } from './metrics.ts'

/** What this process shares with everyone on its machine, read at each scrape: processors, pressure, the disk of `folder`. */
export function watchMachine(metrics: Metrics, folder: string): void {
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
  })
  watchDisk(metrics, folder)
}

/** The room of the file system that `folder` is on, read at each scrape. */
export function watchDisk(metrics: Metrics, folder: string): void {
  metrics.onScrape(async () => {
    const disk = await statfs(folder)
    metrics.set('tintype_disk_free_bytes', {}, disk.bavail * disk.bsize)
    metrics.set('tintype_disk_size_bytes', {}, disk.blocks * disk.bsize)
    metrics.set('tintype_disk_free_files', {}, disk.ffree)
  })
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
  const text = await readFile(`/proc/pressure/${resource}`, 'utf8').catch(() => '')
  return Number(/^some .*total=(\d+)/m.exec(text)?.[1] ?? 0) / 1e6
}
