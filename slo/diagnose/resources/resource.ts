import type { Diagnosed } from '../stages.ts'
import type { View } from '../view.ts'

export const causes = [
  'cpu',
  'memory',
  'event-loop',
  'descriptors',
  'disk-latency',
  'disk-full',
  'file-count',
  'queue-stalled',
  'no-workers',
  'hung-slot',
  'poison',
  'big-inputs',
  'slow-client',
  'network',
  'dns',
  'tls',
  'session',
  'delivery',
  'release',
  'dependency-away',
  'clock-skew',
  'traffic',
] as const
export type Cause = (typeof causes)[number]

/**
 * How a resource bears on a stage's time:
 * `part`: seconds of it, so what it explains is its growth in the stage's growth.
 * `factor`: the time is a product of these (work × cost ÷ power), so what it explains is its part of the logarithm.
 * `exhausted`: from 0 to 1, where 1 is nothing left: explains all when it came to its limit, nothing before.
 */
export type Resource = {
  kind: 'part' | 'factor' | 'exhausted'
  stage: Diagnosed
  cause: Cause
  /** What a person looks at to check. */
  metric: string
  value(view: View): number | null
  /** What to do. */
  lever: string
  /** The time is lost in this stage, its cause is looked for in that one. */
  blames?: Diagnosed
}

export const ratio = (above: number | null, below: number | null): number | null =>
  above === null || !below ? null : above / below

export const phase = (name: string) => (view: View) => view.gauge('tintype_probe_seconds', { phase: name })
export const storage = (operation: string, job: string) => (view: View) =>
  view.mean('tintype_storage_seconds', { operation, job })

/** Attempts a second that came to an end, by how. */
export const attempts = (view: View, outcome: RegExp = /./) =>
  view.rate('tintype_conversions_total', { outcome })
export const slotsBusy = (view: View) => ratio(view.total('tintype_slots_busy'), view.total('tintype_slots'))
export const waiting = (view: View) => view.gauge('tintype_queue_depth')
export const oldest = (view: View) => view.gauge('tintype_queue_oldest_seconds')

/** Of whichever service has the fullest: their disks may be different ones. */
const diskUsed = (view: View): number | null => {
  const used = view.values('tintype_disk_size_bytes', 'job').flatMap(job => {
    const free = ratio(
      view.gauge('tintype_disk_free_bytes', { job }),
      view.gauge('tintype_disk_size_bytes', { job }),
    )
    return free === null ? [] : 1 - free
  })
  return used.length === 0 ? null : Math.max(...used)
}

export const diskFull = (stage: Diagnosed): Resource => ({
  kind: 'exhausted',
  stage,
  cause: 'disk-full',
  metric: 'tintype_disk_free_bytes',
  value: diskUsed,
  lever: 'free space on the data disk or enlarge it; npm run logs -- sizing tells what grows',
})

/** How far the clocks of web and converter are apart: what one began and the other ended seems longer or shorter by it. */
export const clockSkew = (stage: Diagnosed): Resource => ({
  kind: 'part',
  stage,
  cause: 'clock-skew',
  metric: 'tintype_clock_seconds - timestamp(tintype_clock_seconds)',
  value(view) {
    const web = view.ahead('tintype_clock_seconds', { job: 'web' })
    const converter = view.ahead('tintype_clock_seconds', { job: 'converter' })
    return web === null || converter === null ? null : Math.abs(converter - web)
  },
  lever: 'nothing is slow: set the clocks (chronyc tracking on each machine)',
})
