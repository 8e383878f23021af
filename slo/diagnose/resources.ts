import type { Diagnosed } from './stages.ts'
import type { View } from './view.ts'

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

const ratio = (above: number | null, below: number | null): number | null =>
  above === null || !below ? null : above / below

const phase = (name: string) => (view: View) => view.gauge('tintype_probe_seconds', { phase: name })
const storage = (operation: string, job: string) => (view: View) =>
  view.mean('tintype_storage_seconds', { operation, job })

/** Attempts a second that came to an end, by how. */
const attempts = (view: View, outcome: RegExp = /./) => view.rate('tintype_conversions_total', { outcome })
const slotsBusy = (view: View) => ratio(view.total('tintype_slots_busy'), view.total('tintype_slots'))
const waiting = (view: View) => view.gauge('tintype_queue_depth')
const oldest = (view: View) => view.gauge('tintype_queue_oldest_seconds')

/** A queue older than this with a free slot is nobody's work: the poll comes every second. */
const stalledSeconds = 3
/** A conversion under way for so long is no conversion any more; the deadline ends it later. */
const hungSeconds = 8

const diskUsed = (view: View): number | null => {
  const free = view.gauge('tintype_disk_free_bytes')
  const size = view.gauge('tintype_disk_size_bytes')
  return free === null || !size ? null : 1 - free / size
}

const diskFull = (stage: Diagnosed): Resource => ({
  kind: 'exhausted',
  stage,
  cause: 'disk-full',
  metric: 'tintype_disk_free_bytes',
  value: diskUsed,
  lever: 'free space on the data disk or enlarge it; npm run logs -- sizing tells what grows',
})

export const resources: readonly Resource[] = [
  {
    kind: 'part',
    stage: 'receive',
    cause: 'dns',
    metric: 'tintype_probe_seconds{phase="dns"}',
    value: phase('dns'),
    lever: 'ask the name server: dig with its own address, then another one',
  },
  {
    kind: 'part',
    stage: 'receive',
    cause: 'network',
    metric: 'tintype_probe_seconds{phase="connect"}',
    value: phase('connect'),
    lever: 'look at the way to web: load balancer, loss, a full accept queue',
  },
  {
    kind: 'part',
    stage: 'receive',
    cause: 'tls',
    metric: 'tintype_probe_seconds{phase="tls"}',
    value: phase('tls'),
    lever: 'look at whoever ends TLS: its CPU, its session resumption',
  },
  {
    kind: 'part',
    stage: 'receive',
    cause: 'slow-client',
    metric: 'tintype_body_seconds',
    value: view => view.mean('tintype_body_seconds'),
    lever: 'nothing of ours is slow: people’s lines are; the promise starts after the upload',
  },
  {
    kind: 'part',
    stage: 'receive',
    cause: 'session',
    metric: 'tintype_session_seconds',
    value: view => view.mean('tintype_session_seconds'),
    lever: 'raise detail for one session and read its look-up times',
  },
  {
    kind: 'part',
    stage: 'receive',
    cause: 'disk-latency',
    metric: 'tintype_storage_seconds{operation="put",job="web"}',
    value: storage('put', 'web'),
    lever: 'find who else writes to the disk (iostat, pressure), or move storage to a faster one',
  },
  {
    kind: 'part',
    stage: 'receive',
    cause: 'event-loop',
    metric: 'nodejs_eventloop_lag_p99_seconds{job="web"}',
    value: view => view.gauge('nodejs_eventloop_lag_p99_seconds', { job: 'web' }),
    lever: 'profile web (node --cpu-prof): something computes where only waiting is allowed',
  },
  {
    kind: 'exhausted',
    stage: 'receive',
    cause: 'descriptors',
    metric: 'process_open_fds{job="web"}',
    value: view =>
      ratio(view.gauge('process_open_fds', { job: 'web' }), view.gauge('process_max_fds', { job: 'web' })),
    lever: 'raise the limit (ulimit -n) and find what is not closed',
  },
  diskFull('receive'),
  diskFull('store'),
  {
    kind: 'exhausted',
    stage: 'wait',
    cause: 'no-workers',
    metric: 'up{job="converter"}',
    value: view => {
      const up = view.gauge('up', { job: 'converter' })
      return up === null ? null : 1 - up
    },
    lever: 'start converters; the launcher’s log says why they ended',
  },
  {
    kind: 'exhausted',
    stage: 'wait',
    cause: 'queue-stalled',
    metric: 'tintype_slots_busy',
    value: view => {
      const [busy, age] = [slotsBusy(view), oldest(view)]
      return busy === null || age === null ? null : age > stalledSeconds && waiting(view) ? 1 - busy : 0
    },
    lever:
      'converters are free and do not claim: restart them, then look at the queue’s file and its doorbell',
  },
  {
    kind: 'factor',
    stage: 'wait',
    cause: 'traffic',
    metric: 'tintype_photos_total{outcome="accepted"}',
    value: view => view.rate('tintype_photos_total', { outcome: 'accepted' }),
    lever: 'add converters or slots; the capacity report says how many',
  },
  {
    kind: 'factor',
    stage: 'wait',
    blames: 'convert',
    cause: 'cpu',
    metric: 'tintype_stage_seconds{stage="convert"}',
    value: view => view.mean('tintype_stage_seconds', { stage: 'convert' }),
    lever: 'photos wait because each takes longer to convert',
  },
  {
    kind: 'exhausted',
    stage: 'convert',
    cause: 'hung-slot',
    metric: 'tintype_slot_oldest_seconds',
    value: view => {
      const age = view.gauge('tintype_slot_oldest_seconds')
      return age === null ? null : Math.min(1, age / hungSeconds)
    },
    lever: 'the deadline ends it; npm run queue -- dead names the photo if it comes again',
  },
  {
    kind: 'exhausted',
    stage: 'convert',
    cause: 'poison',
    metric: 'tintype_conversions_total{outcome=~"crash|timeout"}',
    value: view => ratio(attempts(view, /^(crash|timeout)$/), attempts(view)),
    lever: 'npm run queue -- dead names the photos; look at one apart from the service',
  },
  {
    kind: 'exhausted',
    stage: 'convert',
    cause: 'memory',
    metric: 'tintype_conversions_total{outcome="memory"}',
    value: view => ratio(attempts(view, /^memory$/), attempts(view)),
    lever: 'raise CHILD_MEMORY_BYTES, or lower the caps of the formats that decode whole',
  },
  {
    kind: 'factor',
    stage: 'convert',
    cause: 'big-inputs',
    metric: 'tintype_input_pixels_total',
    value: view => ratio(view.rate('tintype_input_pixels_total'), attempts(view, /^ok$/)),
    lever: 'nothing is broken: photos are larger; add slots, or lower MAX_PIXELS',
  },
  {
    kind: 'factor',
    stage: 'convert',
    cause: 'release',
    metric: 'tintype_conversion_cpu_seconds_total',
    value: view =>
      ratio(view.rate('tintype_conversion_cpu_seconds_total'), view.rate('tintype_input_pixels_total')),
    lever: 'the same pixels cost more processor time: compare the versions, roll back',
  },
  {
    kind: 'factor',
    stage: 'convert',
    cause: 'cpu',
    metric: 'tintype_machine_pressure_seconds_total{resource="cpu"}',
    value: view =>
      ratio(
        view.rate('tintype_stage_seconds_sum', { stage: 'convert' }),
        view.rate('tintype_conversion_cpu_seconds_total'),
      ),
    lever: 'conversions wait for a processor: find who else uses it (top), or give them cores of their own',
  },
  {
    kind: 'part',
    stage: 'convert',
    cause: 'disk-latency',
    metric: 'tintype_storage_seconds{operation="get",job="converter"}',
    value: storage('get', 'converter'),
    lever: 'reading originals is slow: find who else uses the disk',
  },
  {
    kind: 'part',
    stage: 'store',
    cause: 'disk-latency',
    metric: 'tintype_storage_seconds{operation="put",job="converter"}',
    value: storage('put', 'converter'),
    lever: 'find who else writes to the disk (iostat, pressure), or move storage to a faster one',
  },
  {
    kind: 'part',
    stage: 'deliver',
    cause: 'delivery',
    metric: 'tintype_event_lag_seconds',
    value: view => view.gauge('tintype_event_lag_seconds'),
    lever: 'events do not reach web’s clients: restart web, then look at the queue’s doorbell',
  },
  {
    kind: 'part',
    stage: 'deliver',
    cause: 'event-loop',
    metric: 'nodejs_eventloop_lag_p99_seconds{job="web"}',
    value: view => view.gauge('nodejs_eventloop_lag_p99_seconds', { job: 'web' }),
    lever: 'profile web (node --cpu-prof): something computes where only waiting is allowed',
  },
]
