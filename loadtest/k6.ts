import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LoadPhoto } from './photos.ts'
import type { Stage } from './profiles.ts'

export type Objectives = { keptTarget: number; onlineTarget: number; promiseSeconds: number }

export type RunOptions = {
  k6: string
  url: string
  stages: readonly Stage[]
  photos: readonly LoadPhoto[]
  objectives: Objectives
  /** Where settings, summary and k6's own HTML report are written. */
  folder: string
  name: string
  remoteWrite?: string | undefined
  onStart?: (pid: number) => void
}

export type LoadResult = {
  /** Iterations that the generator could not start: above zero the run says nothing about the service. */
  dropped: number
  journeys: number
  keptRatio: number
  shed: number
  readySeconds: { median: number; p95: number; p99: number; max: number }
  /** Names of the thresholds that were crossed. */
  crossed: string[]
}

/** k6 reserves memory for each; arrivals beyond are dropped, which voids the run rather than flattering the service. */
const maxUsers = 400

/** Runs one profile and reads k6's own summary. Throws when k6 itself fails; crossed thresholds are a result. */
export async function runK6(options: RunOptions): Promise<LoadResult> {
  const { folder, name, objectives } = options
  const summaryFile = join(folder, `${name}.summary.json`)
  const settingsFile = join(folder, `${name}.settings.json`)
  const settings = {
    url: options.url,
    promiseSeconds: objectives.promiseSeconds,
    stages: options.stages,
    maxUsers,
    photos: options.photos,
    summaryFile,
    thresholds: {
      promise_kept: [`rate>=${objectives.keptTarget}`],
      // A probe's view: a request that we fail is a moment offline.
      'http_req_failed{stage:receive}': [`rate<=${1 - objectives.onlineTarget}`],
      dropped_iterations: ['count==0'],
    },
  }
  writeFileSync(settingsFile, JSON.stringify(settings, null, 2))
  const outputs = options.remoteWrite ? ['-o', 'experimental-prometheus-rw'] : []
  const child = spawn(options.k6, ['run', '--quiet', ...outputs, join(import.meta.dirname, 'journey.ts')], {
    stdio: ['ignore', 'inherit', 'pipe'],
    env: {
      ...process.env,
      SETTINGS: settingsFile,
      K6_NO_USAGE_REPORT: 'true',
      K6_WEB_DASHBOARD: 'true',
      K6_WEB_DASHBOARD_PORT: '-1',
      K6_WEB_DASHBOARD_EXPORT: join(folder, `${name}.html`),
      ...(options.remoteWrite && { K6_PROMETHEUS_RW_SERVER_URL: options.remoteWrite }),
    },
  })
  if (child.pid) options.onStart?.(child.pid)
  let stderr = ''
  child.stderr.on('data', chunk => {
    stderr = (stderr + chunk).slice(-10_000)
  })
  const [code] = await once(child, 'exit')
  // 99: a threshold was crossed, which is a result.
  if (code !== 0 && code !== 99) throw new Error(`k6 ended with ${code}:\n${stderr}`)
  return readSummary(summaryFile)
}

type Metric = { values: Record<string, number>; thresholds?: Record<string, { ok: boolean }> }

function readSummary(file: string): LoadResult {
  const { metrics } = JSON.parse(readFileSync(file, 'utf8')) as { metrics: Record<string, Metric> }
  const value = (metric: string, statistic: string) => metrics[metric]?.values[statistic] ?? 0
  return {
    dropped: value('dropped_iterations', 'count'),
    journeys: value('iterations', 'count'),
    keptRatio: value('promise_kept', 'rate'),
    shed: value('photos_shed', 'count'),
    readySeconds: {
      median: value('photo_ready_seconds', 'med'),
      p95: value('photo_ready_seconds', 'p(95)'),
      p99: value('photo_ready_seconds', 'p(99)'),
      max: value('photo_ready_seconds', 'max'),
    },
    crossed: Object.entries(metrics)
      .filter(([, metric]) => Object.values(metric.thresholds ?? {}).some(({ ok }) => !ok))
      .map(([metric]) => metric),
  }
}
