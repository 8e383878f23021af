import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** How much of each resource is used, 0 to 1 (1: nothing left), over one stretch of time. */
export type Utilisation = {
  cpu: number
  /** The generator's own part of cpu, when it runs on this machine. */
  generatorCpu: number
  slots: number
  /** Of the busiest disk, the time it had work; null where the kernel does not tell. */
  disk: number | null
  /** 99th percentile of web's event-loop delay against the 100 ms from which people notice. */
  eventLoop: number
  descriptors: number
}

export type QueueState = { depth: number; oldestSeconds: number }

const sampleMs = 1_000
const noticedSeconds = 0.1
/** Kernel ticks a second in /proc; fixed on Linux whatever the machine's own clock. */
const ticksPerSecond = 100

type Endpoints = { webAdmin: string; converterAdmin: string }

/** Watches a local service until `stop`, which gives the means over the stretch and the queue at its end. */
export function watch(endpoints: Endpoints, generatorPid: () => number | undefined) {
  const rows: Omit<Utilisation, 'cpu' | 'generatorCpu' | 'disk'>[] = []
  let queue: QueueState = { depth: 0, oldestSeconds: 0 }
  const start = {
    at: Date.now(),
    cpu: cpuTimes(),
    disk: diskBusyMs(),
    generator: generatorTicks(generatorPid()),
  }
  let generator = 0
  const timer = setInterval(async () => {
    try {
      const [web, converter] = await Promise.all([
        scrape(endpoints.webAdmin),
        scrape(endpoints.converterAdmin),
      ])
      generator = generatorTicks(generatorPid()) || generator
      queue = { depth: web('tintype_queue_depth'), oldestSeconds: web('tintype_queue_oldest_seconds') }
      rows.push({
        slots: converter('tintype_slots_busy') / Math.max(1, converter('tintype_slots')),
        eventLoop: web('nodejs_eventloop_lag_p99_seconds') / noticedSeconds,
        descriptors: web('process_open_fds') / Math.max(1, web('process_max_fds')),
      })
    } catch {
      // A service too busy to answer a scrape is what is being measured; the next one will tell.
    }
  }, sampleMs)
  return {
    queue: () => queue,
    stop(): Utilisation {
      clearInterval(timer)
      const seconds = (Date.now() - start.at) / 1000
      const now = cpuTimes()
      const mean = (read: (row: (typeof rows)[number]) => number) =>
        rows.length === 0 ? 0 : Math.min(1, rows.reduce((sum, row) => sum + read(row), 0) / rows.length)
      return {
        cpu: 1 - (now.idle - start.cpu.idle) / Math.max(1, now.total - start.cpu.total),
        generatorCpu: (generator - start.generator) / ticksPerSecond / seconds / cpus().length,
        slots: mean(row => row.slots),
        disk: start.disk === null ? null : Math.min(1, ((diskBusyMs() ?? 0) - start.disk) / 1000 / seconds),
        eventLoop: mean(row => row.eventLoop),
        descriptors: mean(row => row.descriptors),
      }
    },
  }
}

async function scrape(admin: string): Promise<(metric: string) => number> {
  const text = await (await fetch(`${admin}/metrics`, { signal: AbortSignal.timeout(sampleMs) })).text()
  return metric => Number(new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1] ?? 0)
}

function cpuTimes(): { idle: number; total: number } {
  const times = cpus().map(cpu => cpu.times)
  const total = times.reduce((sum, time) => sum + Object.values(time).reduce((a, b) => a + b, 0), 0)
  return { idle: times.reduce((sum, time) => sum + time.idle, 0), total }
}

/** Milliseconds that the busiest whole disk had work (field 10 of /proc/diskstats). */
function diskBusyMs(): number | null {
  const lines = read('/proc/diskstats')?.trim().split('\n') ?? []
  const busy = lines
    .map(line => line.trim().split(/\s+/))
    .filter(fields => /^(sd[a-z]+|vd[a-z]+|nvme\d+n\d+|xvd[a-z]+)$/.test(fields[2] ?? ''))
    .map(fields => Number(fields[12]))
  return busy.length === 0 ? null : Math.max(...busy)
}

function generatorTicks(pid: number | undefined): number {
  const fields = pid === undefined ? undefined : read(`/proc/${pid}/stat`)?.split(') ')[1]?.split(' ')
  return Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
