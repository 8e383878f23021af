import type { Stage } from '@tintype/lib/telemetry/catalogue.ts'
import { either, gauge, largest, mean, minus, named, over, plus, rate, type Signal } from './signals.ts'
import type { View } from './view.ts'

/** The stages whose times add up to the person's; `experience` contains them all. */
export const diagnosed = [
  'receive',
  'wait',
  'convert',
  'store',
  'deliver',
] as const satisfies readonly Stage[]
export type Diagnosed = (typeof diagnosed)[number]

export type Reading = {
  stage: Diagnosed
  /** What a photo spends in the stage, what is still in it included. */
  seconds: Signal
  /** Share of what came to the stage and ended there in an error of ours: no time tells of it. */
  failing?: Signal
  /** Growth below this is not slow: no person notices, and noise reaches it. */
  floorSeconds: number
  /** Growth must also be this multiple of what the stage took before. */
  floorRatio: number
}

const stage = (name: Stage): Signal => mean('tintype_stage_seconds', { stage: name })
export const phase = (name: string): Signal => gauge('tintype_probe_seconds', { phase: name })
export const session = mean('tintype_session_seconds')
/** A blocked event loop delays requests before they are measured: often and a little, or seldom and for long. */
export const loopOf = (job: string): Signal =>
  largest(
    gauge('nodejs_eventloop_lag_p99_seconds', { job }),
    rate('tintype_event_loop_wait_seconds_total', { job }),
  )

/** What the probe waited for its answer beyond what web, with its event loop, accounts for. */
export const lost: Signal = minus(
  either(
    gauge('tintype_probe_lost_seconds'),
    // Without an answer nobody said what it took: beyond what other uploads take then.
    minus(phase('processing'), stage('receive'), session),
  ),
  loopOf('web'),
)

const posts = (status: RegExp) =>
  rate('http_server_request_duration_seconds_count', {
    http_route: '/photos',
    http_request_method: 'POST',
    http_response_status_code: status,
  })
const notStored = rate('tintype_photos_not_stored_total')
/** Uploads refused for load, which is the queue's; the others that were not stored are our own errors. */
const refusedForLoad = minus(rate('tintype_photos_total', { outcome: 'shed' }), notStored)
const lookAtThumbnail = (status: RegExp) =>
  rate('http_server_request_duration_seconds_count', {
    http_route: '/photos/:id/thumbnail',
    http_response_status_code: status,
  })

/** Attempts a second that came to an end, by how. */
export const attempts = (outcome: RegExp = /.+/): Signal => rate('tintype_conversions_total', { outcome })

/** Of the calls that a process made to storage or queue. */
export const failedCalls = (of: 'storage' | 'queue', job: string): Signal =>
  over(
    rate('tintype_calls_total', { of, job, outcome: 'ours' }),
    rate(`tintype_${of}_seconds_count`, { job }),
  )

/** Of the probe's journeys; those that failed after the upload are another stage's. */
const probeFailing: Signal = {
  ...over(rate('tintype_probe_attempts_total', { outcome: 'failure' }), rate('tintype_probe_attempts_total')),
  value(view) {
    const failed = view.rate('tintype_probe_attempts_total', { outcome: 'failure' })
    const all = view.rate('tintype_probe_attempts_total')
    const reached = view.last('tintype_probe_seconds', { phase: 'thumbnail' })[0] ?? 0
    return failed === null || !all ? null : reached > 0 ? 0 : failed / all
  },
}

export const readings: readonly Reading[] = [
  {
    stage: 'receive',
    // Before web can measure anything the request must reach it: only the probe knows that part.
    seconds: named(
      'tintype_stage_seconds{stage="receive"}',
      plus(
        either(stage('receive'), phase('processing')),
        // A look-up that computes blocks the loop for the same seconds.
        largest(session, loopOf('web')),
        phase('dns'),
        phase('connect'),
        phase('tls'),
        phase('transfer'),
        lost,
      ),
    ),
    failing: largest(over(minus(posts(/^5../), refusedForLoad), posts(/.+/)), probeFailing),
    floorSeconds: 0.1,
    floorRatio: 1.5,
  },
  {
    stage: 'wait',
    seconds: largest(stage('wait'), gauge('tintype_queue_oldest_seconds')),
    failing: over(refusedForLoad, posts(/.+/)),
    floorSeconds: 0.3,
    floorRatio: 2,
  },
  {
    stage: 'convert',
    seconds: largest(stage('convert'), gauge('tintype_slot_oldest_seconds')),
    failing: over(attempts(/^(crash|timeout|memory)$/), attempts()),
    floorSeconds: 0.03,
    floorRatio: 1.4,
  },
  {
    stage: 'store',
    seconds: stage('store'),
    failing: failedCalls('storage', 'converter'),
    floorSeconds: 0.05,
    floorRatio: 2,
  },
  {
    stage: 'deliver',
    seconds: plus(
      largest(stage('deliver'), gauge('tintype_event_lag_seconds')),
      mean('http_server_request_duration_seconds', { http_route: '/photos', http_request_method: 'GET' }),
    ),
    failing: over(lookAtThumbnail(/^5../), lookAtThumbnail(/.+/)),
    floorSeconds: 0.5,
    floorRatio: 2,
  },
]

/** What a failure costs a person: the patience of the probe. */
const failedSeconds = 5

/** Seconds of a stage, with what failed in it as the patience it cost; null without data. */
export function secondsOf({ seconds, failing }: Reading, view: View): number | null {
  const took = seconds.value(view)
  const failed = Math.min(1, failing?.value(view) ?? 0) * failedSeconds
  return took === null && failed === 0 ? null : (took ?? 0) + failed
}

export type Growth = {
  stage: Diagnosed
  baseline: number | null
  now: number | null
  /** Seconds more than before; 0 when it is within what is usual. */
  growth: number
  /** Of the growth of all stages. */
  share: number
}

/** Spread in medians of absolute deviations beyond which a window is unlike the baseline's. */
const usualSpread = 4
/** Fewer windows are no baseline. */
export const minBaselineWindows = 3
/** Without a baseline only this is slow: a sixth of the promise in one stage. */
const slowAnywaySeconds = 10

/** How much each stage grew against the median of the baseline's windows. */
export function attribute(baseline: readonly View[], now: View): Growth[] {
  const grown = readings.map(reading => {
    const { stage, floorSeconds, floorRatio } = reading
    const before = baseline.map(window => secondsOf(reading, window)).filter(value => value !== null)
    const usual = before.length === 0 ? null : median(before)
    const current = secondsOf(reading, now)
    const growth = (current ?? 0) - (usual ?? 0)
    const spread = usual === null ? 0 : usualSpread * median(before.map(value => Math.abs(value - usual)))
    const unusual =
      before.length < minBaselineWindows
        ? growth > slowAnywaySeconds
        : growth > Math.max(floorSeconds, spread) && (current ?? 0) > (usual ?? 0) * floorRatio
    return { stage, baseline: usual, now: current, growth: unusual ? growth : 0 }
  })
  const all = grown.reduce((sum, { growth }) => sum + growth, 0)
  return grown.map(each => ({ ...each, share: all === 0 ? 0 : each.growth / all }))
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}
