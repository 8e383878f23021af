import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Capacity, findCapacity, holds, type Step } from './capacity.ts'
import { type RunOptions, runK6 } from './k6.ts'
import { profiles } from './profiles.ts'
import { type CapacityReport, capacityMarkdown, capacitySvg } from './report.ts'
import { watch } from './resources.ts'
import { startService } from './service.ts'
import type { Target } from './target.ts'

export type BreakpointOptions = Omit<RunOptions, 'stages' | 'name' | 'onStart'> & {
  endpoints: Target['endpoints']
  firstRate: number
  scaling: boolean
  json: boolean
}

/** A queue left by one step would be charged to the next. */
const drainTimeoutMs = 120_000
const slotsCompared = [1, 2]

/** Finds the capacity, with `scaling` also of services of its own, and writes capacity.md, .json and .svg. */
export async function runBreakpoint(options: BreakpointOptions): Promise<number> {
  if (!options.endpoints)
    throw new Error(
      'breakpoint reads the service’s resources: it needs a service of this machine, found by DATA_DIR',
    )
  const trafficNow = await uploadsASecond(options.endpoints.webAdmin)
  const capacity = await measureCapacity(options, options.endpoints)
  const scaling: CapacityReport['scaling'] = []
  for (const slots of options.scaling ? slotsCompared : [])
    scaling.push({ slots, capacity: await measureApart(options, slots) })
  const report: CapacityReport = {
    at: new Date().toISOString(),
    url: options.url,
    machine: { cores: cpus().length, model: cpus()[0]?.model ?? 'unknown' },
    capacity,
    scaling,
    trafficNow,
    bytesAPhoto: bytesAPhoto(options),
  }
  const markdown = capacityMarkdown(report)
  writeFileSync(join(options.folder, 'capacity.md'), markdown)
  writeFileSync(join(options.folder, 'capacity.json'), `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(join(options.folder, 'capacity.svg'), capacitySvg(capacity))
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : `${markdown}\n${options.folder}\n`)
  return 0
}

function measureCapacity(
  options: BreakpointOptions,
  endpoints: NonNullable<Target['endpoints']>,
): Promise<Capacity> {
  const measure = async (rate: number): Promise<Step> => {
    await drained(endpoints.webAdmin)
    let pid: number | undefined
    const watching = watch(endpoints, () => pid)
    const stages = (profiles.step as (typeof profiles)[string])(rate).stages
    const arrivalsMs = stages.reduce((sum, { duration }) => sum + Number.parseFloat(duration) * 1000, 0)
    let queue = watching.queue()
    // The state when arrivals end: afterwards k6 only waits for the photos under way.
    let utilisation: Step['utilisation'] | undefined
    const atEnd = () => {
      queue = watching.queue()
      utilisation = watching.stop()
    }
    let timer: NodeJS.Timeout | undefined
    const result = await runK6({
      ...options,
      stages,
      name: `step-${rate}`,
      onStart: started => {
        pid = started
        timer = setTimeout(atEnd, arrivalsMs)
      },
    })
    clearTimeout(timer)
    if (!utilisation) atEnd()
    const step = {
      rate,
      result,
      queue,
      utilisation: utilisation as Step['utilisation'],
      holds: holds(result, queue, options.objectives.keptTarget),
    }
    process.stderr.write(
      `${rate}/s: ${step.holds ? 'holds' : 'does not hold'} (ready p95 ${result.readySeconds.p95.toFixed(2)} s, oldest ${queue.oldestSeconds.toFixed(1)} s)\n`,
    )
    return step
  }
  return findCapacity(measure, options.firstRate)
}

/** The same search on a service of its own with so many slots, in a folder of its own. */
async function measureApart(options: BreakpointOptions, slots: number): Promise<Capacity> {
  process.stderr.write(`a service of its own with ${slots} slot(s)\n`)
  const dataDir = mkdtempSync(join(tmpdir(), 'tintype-load-'))
  const service = await startService(dataDir, { CONVERTER_SLOTS: String(slots) })
  try {
    return await measureCapacity({ ...options, url: service.endpoints.web }, service.endpoints)
  } finally {
    await service.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function drained(webAdmin: string): Promise<void> {
  const deadline = Date.now() + drainTimeoutMs
  while (Date.now() < deadline) {
    if ((await gauge(webAdmin, 'tintype_queue_depth')) === 0) return
    await new Promise(resolve => setTimeout(resolve, 500))
  }
  throw new Error('the queue did not drain between two steps')
}

/** Over some seconds before the load begins. */
async function uploadsASecond(webAdmin: string): Promise<number> {
  const seconds = 5
  const accepted = () => gauge(webAdmin, 'tintype_photos_total\\{outcome="accepted"\\}')
  const before = await accepted()
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  return ((await accepted()) - before) / seconds
}

async function gauge(admin: string, metric: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text()
  return Number(new RegExp(`^${metric} (\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN)
}

/** The load's own mix of originals; entries of the log by the journey's five of some 300 bytes. */
function bytesAPhoto({ photos }: BreakpointOptions): { storage: number; logs: number } {
  const weights = photos.reduce((sum, { weight }) => sum + weight, 0)
  const originals =
    photos.reduce((sum, { file, weight }) => sum + readFileSync(file).length * weight, 0) / weights
  return { storage: originals + 20_000, logs: 1_500 }
}
