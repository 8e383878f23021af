import { exhausted, factor, part, type Resource } from '../../diagnose/resource.ts'
import {
  gauge,
  largest,
  mean,
  minus,
  named,
  over,
  plus,
  rate,
  rest,
  type Signal,
  times,
  total,
} from '../../diagnose/signals.ts'
import { lost, phase, session } from '../../diagnose/stages.ts'
import type { View } from '../../diagnose/view.ts'
import {
  clockSkew,
  clocksApart,
  eventLoop,
  failingQueue,
  slowDisk,
  slowQueue,
  usedStorage,
} from './shared.ts'

const look = {
  dns: 'ask the name server: dig with its own address, then another one',
  network: 'look at the way to web: load balancer, loss, a full accept queue',
  tls: 'look at whoever ends TLS: its CPU, its certificate, its session resumption',
}
const phases = ['dns', 'connect', 'tls', 'processing', 'transfer', 'thumbnail']

/** 1 when the probe fails and its last journey came no further than this phase. */
const diedIn = (name: string): Signal => ({
  ...phase(name),
  reads: ['tintype_probe_seconds', 'tintype_probe_attempts_total'],
  value(view: View) {
    const reached = (each: string) => (view.last('tintype_probe_seconds', { phase: each })[0] ?? 0) > 0
    if (view.values('tintype_probe_seconds', 'phase').length === 0) return null
    const failing = (view.rate('tintype_probe_attempts_total', { outcome: 'failure' }) ?? 0) > 0
    return failing && reached(name) && !phases.slice(phases.indexOf(name) + 1).some(reached) ? 1 : 0
  },
})

const away = (job: string): Signal => named(`1 - up{job="${job}"}`, rest(gauge('up', { job })))

/** 1 when a process is younger than the window: it ended and was started again. */
const restarted = (job: string): Signal => ({
  ...named(`changes(process_start_time_seconds{job="${job}"})`, gauge('process_start_time_seconds', { job })),
  query: `clamp_max(changes(process_start_time_seconds{job="${job}"}[$w]), 1)`,
  value(view) {
    const [started] = view.last('process_start_time_seconds', { job })
    return started === undefined ? null : started * 1000 > view.fromMs ? 1 : 0
  },
})

const receive: readonly Resource[] = [
  exhausted(
    'receive',
    'dependency-away',
    away('web'),
    'web is away: start it; the launcher’s log says why it ended',
    {
      limit: 0.5,
    },
  ),
  exhausted(
    'receive',
    'dependency-away',
    restarted('web'),
    'web ended and was started again: its log says why',
  ),
  ...usedStorage('receive', 'web'),
  failingQueue('receive', 'web'),
  exhausted('receive', 'dns', diedIn('dns'), look.dns),
  exhausted('receive', 'network', diedIn('connect'), look.network),
  exhausted('receive', 'tls', diedIn('tls'), look.tls),
  part('receive', 'dns', phase('dns'), look.dns),
  part(
    'receive',
    'network',
    named('tintype_probe_lost_seconds', plus(lost, phase('connect'), phase('transfer'))),
    look.network,
  ),
  part('receive', 'tls', phase('tls'), look.tls),
  part(
    'receive',
    'slow-client',
    mean('tintype_client_wait_seconds'),
    'nothing of ours is slow: people’s lines are; the promise starts after the upload',
  ),
  part('receive', 'session', session, 'raise detail for one session and read its look-up times'),
  slowDisk('receive', 'put', 'web'),
  slowQueue('receive', 'enqueue', 'web'),
  ...eventLoop('receive', 'web'),
]

const busy: Signal = over(total('tintype_slots_busy'), total('tintype_slots'))
/** What only seems so by the clocks is left out. */
const waited: Signal = minus(
  largest(mean('tintype_stage_seconds', { stage: 'wait' }), gauge('tintype_queue_oldest_seconds')),
  clocksApart,
)
const slotTime: Signal = named(
  'tintype_stage_seconds{stage=~"convert|store"}',
  plus(
    mean('tintype_stage_seconds', { stage: 'convert' }),
    mean('tintype_stage_seconds', { stage: 'store' }),
  ),
)
/** None at all is not infinite, but far beyond what any load explains. */
const fewestSlots = 0.01
const slots = total('tintype_slots')
const perSlot: Signal = {
  ...slots,
  query: `1 / clamp_min(${slots.query}, ${fewestSlots})`,
  value(view) {
    const alive = slots.value(view)
    return alive === null ? null : 1 / Math.max(alive, fewestSlots)
  },
}

/** A queue grows by what comes, by how long each holds a slot, by slots that are gone, or because nobody looks. */
const wait: readonly Resource[] = [
  exhausted(
    'wait',
    'no-workers',
    away('converter'),
    'start converters; the launcher’s log says why they ended',
    {
      limit: 0.5,
    },
  ),
  failingQueue('wait', 'converter'),
  ...usedStorage('wait', 'converter', ['store']),
  factor('wait', 'no-workers', perSlot, 'slots are lost: the converter’s log says why its children end'),
  part(
    'wait',
    'queue-stalled',
    named('tintype_slots_busy', times(waited, rest(busy))),
    'converters are free and do not claim: restart them, then look at the queue’s file and its doorbell',
  ),
  slowQueue('wait', 'claim', 'converter'),
  clockSkew('wait'),
  factor(
    'wait',
    'traffic',
    rate('tintype_photos_total', { outcome: /^(accepted|shed)$/ }),
    'add converters or slots; the capacity report says how many',
  ),
  factor('wait', 'cpu', slotTime, 'photos wait because each holds its slot for longer', {
    blames: ['convert', 'store'],
  }),
  ...eventLoop('wait', 'converter'),
]

/** Until a converter has the photo. */
export const before: readonly Resource[] = [...receive, ...wait]
