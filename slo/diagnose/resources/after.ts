import { attempts, clockSkew, diskFull, type Resource, ratio, storage } from './resource.ts'

/** A conversion under way for so long is no conversion any more; the deadline ends it later. */
const hungSeconds = 8

/** From the claim to the person: what bears on convert, store and deliver. */
export const after: readonly Resource[] = [
  diskFull('store'),
  clockSkew('deliver'),
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
