import type { Series } from './view.ts'

/** A service as a few numbers, from which every metric follows: for the tests of diagnose. */
export type World = {
  photosASecond: number
  pixels: number
  cpuPerPixel: number
  /** How many processes share a core with a conversion, 1 is none beside it. */
  stolen: number
  version: string
  probe: { dns: number; connect: number; tls: number; processing: number }
  body: number
  put: { web: number; converter: number }
  lag: { web: number }
  eventLag: number
  unexplained: number
  claims: boolean
  converterUp: boolean
  logsUp: boolean
  metricsUp: boolean
  /** Of the converter's clock against web's. */
  skewSeconds: number
  crashes: number
  outOfMemory: number
}

const slots = 2

const calm = (): World => ({
  photosASecond: 8,
  pixels: 12e6,
  cpuPerPixel: 5e-9,
  stolen: 1,
  version: '1.0.0',
  probe: { dns: 0.001, connect: 0.001, tls: 0, processing: 0.02 },
  body: 0.01,
  put: { web: 0.004, converter: 0.004 },
  lag: { web: 0.012 },
  eventLag: 0.01,
  unexplained: 0,
  claims: true,
  converterUp: true,
  logsUp: true,
  metricsUp: true,
  skewSeconds: 0,
  crashes: 0,
  outOfMemory: 0,
})

/** Scrapes of a calm time, then of the time with the incident. */
export function simulate(
  { before, during }: { before: number; during: number },
  stepMs: number,
  incident: (world: World) => Partial<World>,
): Series[] {
  const series = new Map<string, Series & { points: { at: number; value: number }[] }>()
  const totals = new Map<string, number>()
  const world = calm()
  let queued = 0
  let oldest = 0
  // Deterministic noise of a few percent, so that medians have something to be robust against.
  let state = 7
  const noise = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return 0.95 + (state / 2 ** 32) * 0.1
  }
  const seconds = stepMs / 1000
  for (let at = stepMs; at <= (before + during) * 1000; at += stepMs) {
    if (at === (before + 1) * 1000) Object.assign(world, incident(world))
    const set = (name: string, labels: Record<string, string>, value: number) => {
      const key = name + JSON.stringify(labels)
      if (!series.has(key)) series.set(key, { name, labels, points: [] })
      series.get(key)?.points.push({ at, value })
    }
    const grow = (name: string, labels: Record<string, string>, by: number) => {
      const key = name + JSON.stringify(labels)
      totals.set(key, (totals.get(key) ?? 0) + by)
      set(name, labels, totals.get(key) ?? 0)
    }
    const observe = (name: string, labels: Record<string, string>, count: number, mean: number) => {
      grow(`${name}_count`, labels, count)
      grow(`${name}_sum`, labels, count * mean * noise())
    }
    const arriving = world.photosASecond * seconds * noise()
    const cpu = world.pixels * world.cpuPerPixel
    const convert = cpu * world.stolen
    const failing = world.crashes + world.outOfMemory
    const able = world.claims && world.converterUp ? (slots / convert) * seconds * (1 - failing) : 0
    const done = Math.min(queued + arriving, able)
    queued += arriving - done
    oldest = queued > 0.5 ? (able > 0 ? queued / (able / seconds) : oldest + seconds) : 0

    for (const [job, up] of [
      ['web', world.metricsUp],
      ['converter', world.metricsUp && world.converterUp],
      ['logs', world.logsUp],
    ] as const)
      set('up', { job }, up ? 1 : 0)
    for (const [phase, value] of Object.entries(world.probe))
      set('tintype_probe_seconds', { job: 'slo', phase }, value * noise())
    if (!world.metricsUp) continue
    const web = { job: 'web' }
    grow('tintype_photos_total', { ...web, outcome: 'accepted' }, arriving)
    const receive = world.body + world.put.web + 0.005
    observe('tintype_stage_seconds', { ...web, stage: 'receive' }, arriving, receive)
    observe('tintype_client_wait_seconds', web, arriving, world.body)
    observe('tintype_storage_seconds', { ...web, operation: 'put' }, arriving, world.put.web)
    observe('tintype_stage_seconds', { ...web, stage: 'deliver' }, done, world.eventLag + 0.02)
    set('tintype_event_lag_seconds', web, world.eventLag * noise())
    set('nodejs_eventloop_lag_p99_seconds', web, world.lag.web * noise())
    set('tintype_clock_seconds', web, at / 1000)
    set('tintype_queue_depth', web, Math.round(queued))
    set('tintype_queue_oldest_seconds', web, oldest)
    set('tintype_build_info', { ...web, version: world.version }, 1)
    if (!world.converterUp) continue
    const converter = { job: 'converter' }
    observe('tintype_stage_seconds', { ...converter, stage: 'wait' }, done, oldest + 0.01 + world.skewSeconds)
    observe(
      'tintype_stage_seconds',
      { ...converter, stage: 'convert' },
      done,
      failing > 0 ? convert / (1 - failing) + 0.5 : convert,
    )
    observe(
      'tintype_stage_seconds',
      { ...converter, stage: 'store' },
      done,
      world.put.converter + 0.002 + world.unexplained,
    )
    observe('tintype_storage_seconds', { ...converter, operation: 'put' }, done, world.put.converter)
    grow('tintype_conversions_total', { ...converter, outcome: 'ok' }, done)
    grow('tintype_conversions_total', { ...converter, outcome: 'crash' }, done * world.crashes * 2)
    grow('tintype_conversions_total', { ...converter, outcome: 'memory' }, done * world.outOfMemory * 2)
    grow('tintype_input_pixels_total', converter, done * world.pixels)
    grow('tintype_conversion_cpu_seconds_total', converter, done * cpu)
    set('tintype_clock_seconds', converter, at / 1000 + world.skewSeconds)
    set('tintype_slots', converter, slots)
    set('tintype_slots_busy', converter, world.claims ? Math.min(slots, (done / seconds) * convert) : 0)
    set('tintype_slot_oldest_seconds', converter, Math.min(convert, 1))
  }
  return [...series.values()]
}
