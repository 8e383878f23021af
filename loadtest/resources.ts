import { readFileSync } from 'node:fs'
import { cpus, freemem, totalmem } from 'node:os'
import { cpuSeconds } from '../lib/telemetry/machine.ts'

/** The used share of each resource during a span of time, 0 to 1; null when unknown. */
export type Utilisation = {
  cpu: number | null
  slots: number | null
  /** The share of time in which the busiest disk had work. */
  disk: number | null
  /** 99th percentile of web's event-loop delay against the 100 ms from which people notice. */
  eventLoop: number | null
  memory: number | null
  descriptors: number | null
}

/** Users of the machine's processor time; `others` is the rest. */
export const cpuUsers = ['children', 'web', 'converter', 'logs', 'slo', 'generator', 'others'] as const
export type CpuShares = Record<(typeof cpuUsers)[number], number>

export type Used = {
  utilisation: Utilisation
  cpuBy: CpuShares
  /** The queue at the last sample. */
  queue: { depth: number; oldestSeconds: number }
}

/** `host:port` of each administration port of a service on this machine, by job; empty if it is elsewhere. */
export type Admin = Readonly<Record<string, readonly string[]>>

const sampleMs = 1_000
/** Long, because a service at its limit answers late and its counters are still needed. */
const scrapeMs = 10_000
const noticedSeconds = 0.1
/** Kernel ticks a second in /proc: always 100 on Linux. */
const ticksPerSecond = 100

/** Samples this machine and its service. Returns a function that ends the sampling and returns the usage. */
export async function watch(admin: Admin, generatorPid: number): Promise<() => Promise<Used>> {
  const rows: Sample[] = []
  const look = () => sample(admin).then(row => rows.push(row), ignoreLate)
  const before = await counters(admin, generatorPid)
  const timer = setInterval(look, sampleMs)
  return async () => {
    clearInterval(timer)
    const after = await counters(admin, generatorPid)
    const seconds = (after.atMs - before.atMs) / 1000
    const mean = (read: (row: Sample) => number | undefined) => {
      const known = rows.map(read).filter(value => value !== undefined)
      return known.length === 0 ? null : Math.min(1, sum(known) / known.length)
    }
    const [worked, rested] = [
      after.machine.busy - before.machine.busy,
      after.machine.idle - before.machine.idle,
    ]
    const busy = worked / Math.max(0.01, worked + rested)
    const disk =
      after.diskMs === null || before.diskMs === null ? null : (after.diskMs - before.diskMs) / 1000 / seconds
    return {
      utilisation: {
        cpu: admin.web ? busy : null,
        slots: mean(row => row.slots),
        disk: disk === null ? null : Math.min(1, disk),
        eventLoop: mean(row => row.eventLoop),
        memory: mean(row => row.memory),
        descriptors: mean(row => row.descriptors),
      },
      cpuBy: shares(before.users, after.users, seconds, busy),
      queue: rows.at(-1)?.queue ?? { depth: 0, oldestSeconds: 0 },
    }
  }
}

/** A busy service may miss a scrape; the next one is used. */
const ignoreLate = () => 0

type Sample = Awaited<ReturnType<typeof sample>>

async function sample(admin: Admin) {
  const [web, converter] = await Promise.all([scrape(admin.web), scrape(admin.converter)])
  const slots = sum(converter('tintype_slots'))
  const delay = most(web('nodejs_eventloop_lag_p99_seconds'))
  return {
    slots: slots > 0 ? sum(converter('tintype_slots_busy')) / slots : undefined,
    eventLoop: delay === undefined ? undefined : delay / noticedSeconds,
    // Both are the machine's. process.availableMemory() is the container's, where there is one.
    memory: admin.web ? 1 - freemem() / totalmem() : undefined,
    descriptors: most(web('tintype_descriptors_used_ratio')),
    // Each web shows the same queue.
    queue: {
      depth: most(web('tintype_queue_depth')) ?? 0,
      oldestSeconds: most(web('tintype_queue_oldest_seconds')) ?? 0,
    },
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
const most = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : Math.max(...values)

type CpuSeconds = Omit<CpuShares, 'others'>

async function counters(admin: Admin, generatorPid: number) {
  const [web, converter, logs, slo] = await Promise.all([
    scrape(admin.web),
    scrape(admin.converter),
    scrape(admin.logs),
    scrape(admin.slo),
  ])
  const users: CpuSeconds = {
    children: sum(converter('tintype_conversion_cpu_seconds_total')),
    web: sum(web('process_cpu_seconds_total')),
    converter: sum(converter('process_cpu_seconds_total')),
    logs: sum(logs('process_cpu_seconds_total')),
    slo: sum(slo('process_cpu_seconds_total')),
    generator: processSeconds(generatorPid),
  }
  return {
    atMs: Date.now(),
    machine: cpuSeconds(),
    diskMs: diskBusyMs(),
    users,
  }
}

function shares(before: CpuSeconds, after: CpuSeconds, seconds: number, busy: number): CpuShares {
  const share = (user: keyof CpuSeconds) => Math.max(0, after[user] - before[user]) / seconds / cpus().length
  const known = Object.fromEntries(Object.keys(after).map(user => [user, share(user as keyof CpuSeconds)]))
  const others = busy - sum(Object.values(known))
  return { ...known, others: Math.max(0, others) } as CpuShares
}

/** Reads the processes of a job. The result gives the values of all series of a metric, without those that are NaN. */
async function scrape(hosts: readonly string[] = []): Promise<(metric: string) => number[]> {
  const texts = await Promise.all(
    hosts.map(async host =>
      (await fetch(`http://${host}/metrics`, { signal: AbortSignal.timeout(scrapeMs) })).text(),
    ),
  )
  return metric =>
    [...texts.join('\n').matchAll(new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))]
      .map(([, value]) => Number(value))
      .filter(value => !Number.isNaN(value))
}

/** Milliseconds of work of the busiest whole disk (field 10 of /proc/diskstats). */
export function diskBusyMs(stats = read('/proc/diskstats') ?? ''): number | null {
  const busy = stats
    .trim()
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(fields => /^(sd[a-z]+|vd[a-z]+|nvme\d+n\d+|xvd[a-z]+|mmcblk\d+)$/.test(fields[2] ?? ''))
    .map(fields => Number(fields[12]))
  return busy.length === 0 ? null : Math.max(...busy)
}

function processSeconds(pid: number): number {
  const fields = read(`/proc/${pid}/stat`)?.split(') ')[1]?.split(' ')
  return (Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)) / ticksPerSecond
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
