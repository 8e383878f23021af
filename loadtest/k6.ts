import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { plainEnvironment } from '../lib/environment.ts'
import { ExpectedError } from '../lib/errors.ts'
import { stopThenAtOnce } from '../lib/terminal.ts'
import { endingWithUs } from '../tools/ending-with-us.ts'
import type { LoadPhoto } from './photos.ts'
import { arrivalsOf, type Stage, secondsOf } from './profiles.ts'

export type Objectives = { keptTarget: number; onlineTarget: number; promiseSeconds: number }

export type RunOptions = {
  k6: string
  url: string
  stages: readonly Stage[]
  photos: readonly LoadPhoto[]
  objectives: Objectives
  /** The folder for settings, summary and k6's HTML report. */
  folder: string
  name: string
  /** Whether k6 writes its page of charts, which takes some CPU during the run. */
  html: boolean
  remoteWrite?: string | undefined
  /** Called when all users exist and arrivals begin. */
  onArrivals?: (pid: number) => void
}

export type LoadResult = {
  /** Arrivals in the profile, and journeys that the generator began. */
  asked: number
  journeys: number
  /** Journeys that the generator could not start. Above zero the run says nothing about the service. */
  dropped: number
  /** Share of the begun journeys whose thumbnail came within the promise. */
  keptRatio: number
  shed: number
  /** Uploads that were refused because they all come from one address. Above zero the run says nothing about the service. */
  limited: number
  readySeconds: { median: number; p95: number; p99: number; max: number }
  /** Seconds from the end of arrivals to the last finished photo: the backlog. */
  leftSeconds: number
  crossed: string[]
}

/** Each k6 user takes some 0.3 MB. Further arrivals are dropped, which voids the run instead of improving it. */
const maxUsers = 2_000

const pointsOfChart = 120
const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** k6's exit status after a signal. */
const stopped = 105
/** k6 accepts only whole numbers, so rates are given as arrivals in this many seconds. */
const rateSeconds = 10_000

/** One user for each photo that may be in progress until its promise is over, but no more than arrivals. */
const usersFor = (stages: readonly Stage[], promiseSeconds: number): number => {
  const peak = Math.max(...stages.map(({ target }) => target))
  return Math.ceil(Math.min(maxUsers, peak * promiseSeconds, arrivalsOf(stages)) + 5)
}

/** Runs a profile and reads k6's summary. @throws when k6 itself fails. Crossed thresholds are a result. */
export async function runK6(options: RunOptions): Promise<LoadResult> {
  const { folder, name, objectives, stages, remoteWrite } = options
  const summaryFile = join(folder, `${name}.summary.json`)
  const settingsFile = join(folder, `${name}.settings.json`)
  const settings = {
    url: options.url,
    promiseSeconds: objectives.promiseSeconds,
    timeUnit: `${rateSeconds}s`,
    stages: stages.map(({ seconds, target }) => ({
      duration: `${Math.round(seconds * 1000)}ms`,
      target: Math.round(target * rateSeconds),
    })),
    users: usersFor(stages, objectives.promiseSeconds),
    photos: options.photos.map(photo => ({ ...photo, bytes: statSync(photo.file).size })),
    summaryFile,
    thresholds: {
      promise_kept: [`rate>=${objectives.keptTarget}`],
      // As a probe sees it: a failed request is a moment offline.
      'http_req_failed{stage:receive}': [`rate<=${1 - objectives.onlineTarget}`],
      dropped_iterations: ['count==0'],
    },
  }
  writeFileSync(settingsFile, JSON.stringify(settings, null, 2))
  const outputs = remoteWrite ? ['-o', 'experimental-prometheus-rw'] : []
  const script = join(import.meta.dirname, 'journey.ts')
  // Port 0, because k6's control server would prevent a second run.
  // k6 has its own process group. Otherwise it would get Ctrl-C twice, from the terminal and from us, and the second
  // signal ends it without a summary.
  const args = ['run', '--quiet', '--address', '127.0.0.1:0', ...outputs, script]
  const child = spawn(...endingWithUs(options.k6, args), {
    detached: true,
    stdio: ['ignore', 'inherit', 'pipe'],
    env: {
      ...plainEnvironment(process.env),
      ...settingsIn(process.env),
      SETTINGS: settingsFile,
      K6_NO_USAGE_REPORT: 'true',
      ...(options.html && {
        K6_WEB_DASHBOARD: 'true',
        K6_WEB_DASHBOARD_PORT: '-1',
        // With the default of 10 s it would write no report of a short run.
        K6_WEB_DASHBOARD_PERIOD: `${Math.ceil(secondsOf(stages) / pointsOfChart)}s`,
        K6_WEB_DASHBOARD_EXPORT: join(folder, `${name}.html`),
      }),
      ...(remoteWrite && { K6_PROMETHEUS_RW_SERVER_URL: remoteWrite }),
    },
  })
  let stderr = ''
  child.stderr.on('data', chunk => {
    if (String(chunk).includes('arrivals begin')) options.onArrivals?.(child.pid as number)
    stderr = (stderr + chunk).slice(-10_000)
  })
  // The load must not outlive this process, as when `timeout` or a CI job ends it.
  const stop = stopThenAtOnce(
    async () => void child.kill('SIGINT'),
    () => child.kill('SIGKILL'),
  )
  for (const signal of endings) process.on(signal, stop)
  const [code] = await once(child, 'exit')
  for (const signal of endings) process.off(signal, stop)
  if (code === stopped) throw new ExpectedError('stopped before its end; this says nothing about the service')
  // 99 means a crossed threshold, which is a result.
  if (code !== 0 && code !== 99) throw new ExpectedError(`k6 ended with ${code}:\n${stderr}`)
  // k6 goes on when its samples are refused.
  const [refused] = /^.*output="?Prometheus remote write.*$/m.exec(stderr) ?? []
  if (refused) process.stderr.write(`${refused}\n`)
  return readSummary(summaryFile, stages, objectives.keptTarget)
}

/**
 * k6's own variables for its outputs, name look-ups and the service's certificate. k6 prefers any other to what the script
 * says: it would change the profile, leave the summary without a number, or keep k6 from ending.
 */
const settingsIn = (environment: NodeJS.ProcessEnv) =>
  Object.fromEntries(
    Object.entries(environment).filter(([name]) =>
      /^K6_(OUT|(PROMETHEUS_RW|OTEL|INFLUXDB|STATSD|CSV)_\w+|INSECURE_SKIP_TLS_VERIFY|DNS)$/.test(name),
    ),
  )

type Metric = { values: Record<string, number>; thresholds?: Record<string, { ok: boolean }> }

function readSummary(file: string, stages: readonly Stage[], keptTarget: number): LoadResult {
  const { metrics } = JSON.parse(readFileSync(file, 'utf8')) as { metrics: Record<string, Metric> }
  const value = (metric: string, statistic: string) => metrics[metric]?.values[statistic] ?? 0
  const journeys = value('journeys', 'count')
  const keptRatio = journeys === 0 ? 0 : value('promise_kept', 'passes') / journeys
  const crossed = new Set(
    Object.entries(metrics)
      .filter(([, { thresholds = {} }]) => Object.values(thresholds).some(({ ok }) => !ok))
      .map(([metric]) => metric),
  )
  // k6 counts only ended journeys, but one that the end of the run interrupted is not kept either.
  if (keptRatio < keptTarget) crossed.add('promise_kept')
  return {
    asked: Math.floor(arrivalsOf(stages)),
    journeys,
    dropped: value('dropped_iterations', 'count'),
    keptRatio,
    shed: value('photos_shed', 'count'),
    limited: value('photos_limited', 'count'),
    readySeconds: {
      median: value('photo_ready_seconds', 'med'),
      p95: value('photo_ready_seconds', 'p(95)'),
      p99: value('photo_ready_seconds', 'p(99)'),
      max: value('photo_ready_seconds', 'max'),
    },
    leftSeconds: Math.max(0, value('done_seconds', 'max') - secondsOf(stages)),
    crossed: [...crossed],
  }
}
