import { execFile } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { dayOf } from '../lib/day.ts'
import { ExpectedError } from '../lib/errors.ts'
import { startService } from '../tools/service.ts'
import { targetsOf } from '../tools/stack/config.ts'
import { type Capacity, findCapacity, judge, type Step } from './capacity.ts'
import { type RunOptions, runK6 } from './k6.ts'
import { capacitySvg } from './picture.ts'
import { steady } from './profiles.ts'
import { type CapacityReport, capacityMarkdown, type Measured } from './report.ts'
import { type Used, watch } from './resources.ts'
import type { Target } from './target.ts'

export type BreakpointOptions = Omit<RunOptions, 'stages' | 'name' | 'html' | 'onArrivals' | 'url'> & {
  /** The service to load; undefined: breakpoint starts services, each in a new folder. */
  target: Target | undefined
  /** Today's traffic in photos a second, if no running service reports it. */
  assumedRate: number
  scaling: boolean
  json: boolean
}

const stepSeconds = 25
/** A first load, after which compilers, pools and connections are warm. */
const warmUp = { rate: 4, seconds: 15 }
const firstRate = 4
const slotsCompared = [1, 2]
const root = join(import.meta.dirname, '..')
const run = promisify(execFile)

/** Finds the capacity and writes capacity.md, .json and .svg. */
export async function runBreakpoint(options: BreakpointOptions): Promise<number> {
  const { target, folder } = options
  const today = await photosASecondToday()
  const measured: Measured[] = []
  if (target) measured.push({ slots: null, capacity: await search(options, target), left: null })
  else
    for (const slots of options.scaling ? slotsCompared : [cpus().length])
      measured.push(await measureOwn(options, slots))
  const report: CapacityReport = {
    at: new Date().toISOString(),
    url: target?.url ?? null,
    machine: { cores: cpus().length, model: cpus()[0]?.model ?? 'unknown' },
    traffic: { photosASecond: today ?? options.assumedRate, assumed: today === null },
    measured,
    promiseSeconds: options.objectives.promiseSeconds,
  }
  const markdown = capacityMarkdown(report)
  writeFileSync(join(folder, 'capacity.md'), markdown)
  writeFileSync(join(folder, 'capacity.json'), `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(join(folder, 'capacity.svg'), capacitySvg(measured.at(-1)?.capacity as Capacity))
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : `${markdown}\n${folder}\n`)
  const { knee, steps } = (measured.at(-1) as Measured).capacity
  if (steps.every(({ holds }) => holds === 'void'))
    throw new ExpectedError(`void: ${steps[0]?.why}; this says nothing about the service`)
  return knee.low > 0 ? 0 : 1
}

/** Starts and measures a service with `slots` slots, in a new folder that is removed afterwards. */
async function measureOwn(options: BreakpointOptions, slots: number): Promise<Measured> {
  process.stderr.write(`a service of its own with ${slots} slot${slots === 1 ? '' : 's'}\n`)
  // Ctrl-C also ends k6 and the service. Their errors end this process, which then removes the folder.
  process.on('SIGINT', () => {})
  const dataDir = join(options.folder, `data-${slots}`)
  // All of k6's users have one address.
  const unlimited = { UPLOADS_PER_MINUTE: '10000000' }
  const service = await startService(dataDir, { CONVERTER_SLOTS: String(slots), ...unlimited })
  try {
    const { endpoints } = service
    const capacity = await search(options, { url: endpoints.web ?? '', admin: targetsOf(endpoints) })
    return { slots, capacity, left: await leftBehind(dataDir, capacity.steps) }
  } finally {
    await service.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function search(options: BreakpointOptions, target: Target): Promise<Capacity> {
  let nth = 0
  const measure = async (rate: number, seconds = stepSeconds): Promise<Step> => {
    let using: Promise<() => Promise<Used>> | undefined
    let used: Promise<Used> | undefined
    /** Called when arrivals end. After that k6 only waits for journeys in progress. */
    const end = () => {
      used ??= using?.then(stop => stop())
      return used
    }
    let timer: NodeJS.Timeout | undefined
    const result = await runK6({
      ...options,
      url: target.url,
      stages: steady(rate, seconds),
      name: `step-${++nth}`,
      html: false,
      onArrivals(pid) {
        using = watch(target.admin ?? {}, pid)
        using.catch(() => {}) // end() throws it
        timer = setTimeout(() => end()?.catch(() => {}), seconds * 1000)
      },
    })
    clearTimeout(timer)
    const verdict = judge(result, seconds, options.objectives.keptTarget)
    const said = verdict.holds === 'yes' ? 'holds' : verdict.why
    process.stderr.write(`${nth === 1 ? 'warm-up, ' : ''}${rate}/s: ${said}\n`)
    return { ...verdict, rate, seconds, result, used: (await end()) as Used }
  }
  await measure(warmUp.rate, warmUp.seconds)
  return findCapacity(measure, firstRate)
}

/** Bytes on disk for each photo: of storage from the file system, of logs from their own sizing. */
async function leftBehind(dataDir: string, steps: readonly Step[]): Promise<Measured['left']> {
  const ofSteps = steps.reduce((sum, { result }) => sum + result.journeys - result.shed, 0)
  const photos = ofSteps + warmUp.rate * warmUp.seconds
  const { stdout } = await run('du', ['-sk', join(dataDir, 'storage')])
  const logs = async (...args: string[]) => {
    const script = join(root, 'services', 'logs', 'main.ts')
    return (await run(process.execPath, [script, ...args, '--json'], { env: { DATA_DIR: dataDir } })).stdout
  }
  // The run may have crossed midnight. A day without entries is not published.
  for (const day of new Set([dayOf(Date.now() - 3_600_000), dayOf(Date.now())]))
    await logs('publish', '--day', day).catch(() => '')
  const { days } = JSON.parse(await logs('sizing')) as { days: { diskBytes: number }[] }
  const logBytes = days.reduce((sum, { diskBytes }) => sum + diskBytes, 0)
  return { photos, storageBytes: (Number.parseInt(stdout, 10) * 1024) / photos, logBytes: logBytes / photos }
}

/** Photos a second from the report of the service in DATA_DIR (or PROMETHEUS_URL); null without a service. */
async function photosASecondToday(): Promise<number | null> {
  try {
    // Exit status 1 means a broken objective, with a report.
    const { stdout } = await run(process.execPath, [join(root, 'slo', 'main.ts'), 'report', '--json']).catch(
      error => error,
    )
    const { window, latency } = JSON.parse(stdout)
    return (latency.kept + latency.broken) / (window.minutes * 60) || null
  } catch {
    return null
  }
}
