import { onTheWay } from '../stages.ts'
import { clockSkew, diskFull, oldest, phase, type Resource, slotsBusy, storage, waiting } from './resource.ts'

/** A queue older than this with a free slot is nobody's work: the poll comes every second. */
const stalledSeconds = 3

/** Until a converter has the photo: what bears on receive and wait. */
export const before: readonly Resource[] = [
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
    metric: 'tintype_probe_seconds{phase=~"connect|processing"}',
    value: view => {
      const connect = phase('connect')(view)
      return connect === null ? null : connect + onTheWay(view)
    },
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
    metric: 'tintype_client_wait_seconds',
    value: view => view.mean('tintype_client_wait_seconds'),
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
    metric: 'tintype_descriptors_used_ratio{job="web"}',
    value: view => view.gauge('tintype_descriptors_used_ratio', { job: 'web' }),
    lever: 'raise the limit (ulimit -n) and find what is not closed',
  },
  diskFull('receive'),
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
  clockSkew('wait'),
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
    blames: 'store',
    cause: 'disk-latency',
    metric: 'tintype_stage_seconds{stage="store"}',
    value: view => view.mean('tintype_stage_seconds', { stage: 'store' }),
    lever: 'photos wait because a slot is held until the one before is stored',
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
]
