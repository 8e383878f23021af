import type { Stage } from '@tintype/lib/telemetry/catalogue.ts'
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

type Reading = {
  stage: Diagnosed
  /** Seconds a photo spends in the stage, those that are still in it included; null without data. */
  seconds(view: View): number | null
  /** Growth below this is not slow: no person notices, and noise reaches it. */
  floorSeconds: number
  /** Growth must also be this multiple of what the stage took before. */
  floorRatio: number
  /** The metrics that would tell more, for the list of what was lacking. */
  metrics: readonly string[]
}

const stageMean = (view: View, stage: Stage) => view.mean('tintype_stage_seconds', { stage })

/** A mean is blind to what never finishes: the age of what is still in the stage is a lower bound. */
const atLeast = (...seconds: (number | null)[]): number | null => {
  const known = seconds.filter(each => each !== null)
  return known.length === 0 ? null : Math.max(...known)
}

/** What a request that fails costs a person: the patience of the probe. */
const failedSeconds = 5

/** The shares of uploads that were refused for load, which is the queue's, and that ended in another error of ours. */
function refused(view: View): { forLoad: number; failed: number } {
  const rate = (status: RegExp) =>
    view.rate('http_server_request_duration_seconds_count', {
      http_route: '/photos',
      http_request_method: 'POST',
      http_response_status_code: status,
    }) ?? 0
  const forLoad =
    (view.rate('tintype_photos_total', { outcome: 'shed' }) ?? 0) -
    (view.rate('tintype_photos_not_stored_total') ?? 0)
  const share = (count: number) => (count <= 0 ? 0 : Math.min(1, count / rate(/./)))
  return { forLoad: share(forLoad), failed: share(rate(/^5/) - forLoad) }
}

const reach = (view: View): number =>
  (['dns', 'connect', 'tls'] as const)
    .map(phase => view.gauge('tintype_probe_seconds', { phase }) ?? 0)
    .reduce((a, b) => a + b, 0) + onTheWay(view)

/** A blocked event loop delays requests before they are measured. */
const lag = (view: View): number => view.gauge('nodejs_eventloop_lag_p99_seconds', { job: 'web' }) ?? 0

/** One journey of the probe is no mean: beside the mean of web's own uploads it may be off by as much. */
const oneJourneySeconds = 0.5

/** What the probe waited for its answer beyond what web spent on it: it was lost between the two. */
export function onTheWay(view: View): number {
  const answered = view.gauge('tintype_probe_seconds', { phase: 'processing' })
  const own = stageMean(view, 'receive')
  if (answered === null || own === null) return 0
  const lost = answered - own - lag(view)
  return lost > oneJourneySeconds ? lost : 0
}

export const readings: readonly Reading[] = [
  {
    stage: 'receive',
    // Before web can measure anything the request must reach it: only the probe knows that part. And some come to
    // nothing.
    seconds: view => {
      const own = stageMean(view, 'receive') ?? view.gauge('tintype_probe_seconds', { phase: 'processing' })
      return own === null ? null : own + lag(view) + reach(view) + failedSeconds * refused(view).failed
    },
    floorSeconds: 0.1,
    floorRatio: 1.5,
    metrics: ['tintype_stage_seconds', 'tintype_probe_seconds'],
  },
  {
    stage: 'wait',
    seconds: view => {
      const waited = atLeast(stageMean(view, 'wait'), view.gauge('tintype_queue_oldest_seconds'))
      return waited === null ? null : waited + failedSeconds * refused(view).forLoad
    },
    floorSeconds: 0.5,
    floorRatio: 2,
    metrics: ['tintype_stage_seconds', 'tintype_queue_oldest_seconds'],
  },
  {
    stage: 'convert',
    seconds: view => atLeast(stageMean(view, 'convert'), view.gauge('tintype_slot_oldest_seconds')),
    floorSeconds: 0.03,
    floorRatio: 1.4,
    metrics: ['tintype_stage_seconds', 'tintype_slot_oldest_seconds'],
  },
  {
    stage: 'store',
    seconds: view => stageMean(view, 'store'),
    floorSeconds: 0.05,
    floorRatio: 2,
    metrics: ['tintype_stage_seconds'],
  },
  {
    stage: 'deliver',
    seconds: view => stageMean(view, 'deliver'),
    floorSeconds: 0.5,
    floorRatio: 2,
    metrics: ['tintype_stage_seconds'],
  },
]

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

/** How much each stage grew against the median of the baseline's windows. */
export function attribute(baseline: readonly View[], now: View): Growth[] {
  const grown = readings.map(({ stage, seconds, floorSeconds, floorRatio }) => {
    const before = baseline.map(seconds).filter(value => value !== null)
    const usual = before.length === 0 ? null : median(before)
    const current = seconds(now)
    if (usual === null || current === null) return { stage, baseline: usual, now: current, growth: 0 }
    const spread = usualSpread * median(before.map(value => Math.abs(value - usual)))
    const unusual = current - usual > Math.max(floorSeconds, spread) && current > usual * floorRatio
    return { stage, baseline: usual, now: current, growth: unusual ? current - usual : 0 }
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
