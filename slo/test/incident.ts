import type { Series } from '../sources/index.ts'
import { calm, type World } from './world.ts'

type Labels = Record<string, string>

/** The series that scrapes fill. */
function openBook(stepMs: number, startMs: number, seed: number) {
  const series = new Map<string, Series & { points: { at: number; value: number }[] }>()
  const totals = new Map<string, number>()
  // Deterministic noise of a few percent, so that medians have something to be robust against.
  let state = seed
  const noise = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return 0.95 + (state / 2 ** 32) * 0.1
  }
  let at = startMs
  /** A random factor of a number of photos, whose standard deviation is the root of its mean. */
  const chance = (mean: number) =>
    Math.max(0, 1 + ((noise() + noise() + noise() - 3) * 40) / 3 / Math.sqrt(mean))
  /** A random factor of the mean size of `count` photos: most are small, some very large. */
  const sizes = (count: number) => {
    const all = Array.from(
      { length: Math.max(1, Math.min(30, count)) },
      () => ((noise() - 0.95) * 10) ** 3 * 4,
    )
    return all.reduce((a, b) => a + b, 0) / all.length
  }
  const set = (name: string, labels: Labels, value: number) => {
    const key = name + JSON.stringify(labels)
    if (!series.has(key)) series.set(key, { name, labels, points: [] })
    series.get(key)?.points.push({ at, value })
  }
  const grow = (name: string, labels: Labels, by: number) => {
    const key = name + JSON.stringify(labels)
    totals.set(key, (totals.get(key) ?? 0) + by)
    set(name, labels, totals.get(key) ?? 0)
  }
  const observe = (name: string, labels: Labels, count: number, mean: number) => {
    grow(`${name}_count`, labels, count)
    grow(`${name}_sum`, labels, count * mean * noise())
  }
  /** One kind of storage or queue is called; the series of the others exist and are zero. */
  const observeOne = (
    [name, labels]: [string, Labels],
    adapters: readonly string[],
    used: string,
    count: number,
    mean: number,
  ) => {
    for (const adapter of adapters)
      observe(name, { ...labels, adapter }, adapter === used ? count : 0, adapter === used ? mean : 0)
  }
  /** The phases of the probe's last journey. */
  const journey = new Map<string, number>()
  const next = () => {
    at += stepMs
    return at
  }
  return { series, noise, chance, sizes, set, grow, observe, observeOne, journey, next }
}
type Book = ReturnType<typeof openBook>

/** Scrapes of a normal time, then of the incident. */
export const simulate = (
  { before, during }: { before: number; during: number },
  stepMs: number,
  incident: (world: World) => Partial<World>,
  usual: Partial<World> = {},
): Series[] =>
  live({
    seconds: before + during,
    stepMs,
    world: second => (second > before ? { ...usual, ...incident({ ...calm(), ...usual }) } : usual),
  })

export type Life = {
  seconds: number
  stepMs: number
  /** Epoch milliseconds of the first second. */
  startMs?: number
  /** What differs from normal at a second. */
  world: (second: number) => Partial<World>
  /** For several converters: how each differs from the world at a second. */
  converters?: readonly ((second: number) => Partial<World>)[]
  /** Photos arrive at random and differ in size, so that means of few photos vary. */
  byChance?: boolean
  seed?: number
}

type Flow = Record<'at' | 'seconds' | 'arriving' | 'done' | 'queued' | 'oldest', number>
const promiseSeconds = 60
const probeMs = 15_000

/** The series of a running service as scrapes read them. */
export function live({
  seconds: length,
  stepMs,
  startMs = 0,
  world,
  converters,
  byChance,
  seed = 7,
}: Life): Series[] {
  const book = openBook(stepMs, startMs, seed)
  const seconds = stepMs / 1000
  const parts = converters ?? [() => ({})]
  let [queued, oldest] = [0, 0]
  for (let at = book.next(); at <= startMs + length * 1000; at = book.next()) {
    const second = (at - startMs) / 1000
    const now = { ...calm(), ...world(second) }
    if (now.diskStands) now.photosASecond = 0
    if (byChance) now.pixels *= book.sizes(now.photosASecond * seconds)
    const coming = now.photosASecond * seconds * (byChance ? book.chance(now.photosASecond * seconds) : 1)
    const arriving = now.webUp ? coming * book.noise() * (1 - now.failing.uploads) * (1 - now.refused) : 0
    const each = parts.map((differs, i) => {
      const own = { ...now, ...differs(second) }
      const convert = (own.pixels * own.cpuPerPixel * own.stolen) / (1 - own.swapping) + own.get.converter
      const holds = convert + own.put.converter
      const bad = Math.min(0.9, own.crashes + own.outOfMemory + own.failing.storage)
      const free = own.claims && own.converterUp ? own.slots - own.hung : 0
      const labels = { job: 'converter', ...(converters && { instance: 'abcdefgh'[i] as string }) }
      return { own, labels, convert, holds, able: Math.max(0, (free / holds) * seconds * (1 - bad)) }
    })
    const able = each.reduce((sum, one) => sum + one.able, 0)
    // Only one claim at a time is in progress.
    const done = Math.min(queued + arriving, able, seconds / now.queue.converter)
    queued += arriving - done
    const busy = Math.min(0.95, done / able)
    const jam = byChance && able > 0 ? ((each[0]?.holds ?? 0) * busy ** 2) / (1 - busy) : 0
    oldest =
      jam * book.chance(4) + (queued > 0.5 ? (done > 0 ? queued / (done / seconds) : oldest + seconds) : 0)
    const flow = { at, seconds, arriving, done, queued, oldest }
    scrapeProbe(
      book,
      now,
      each.map(({ own, labels }) => ({ labels, up: own.converterUp })),
      flow,
    )
    if (now.metricsUp && now.webUp && now.webScraped) scrapeWeb(book, now, flow)
    for (const { own, labels, able: part, ...took } of each)
      if (own.metricsUp && own.converterUp)
        scrapeConverter(book, own, labels, { ...flow, ...took, done: able === 0 ? 0 : (done * part) / able })
  }
  return [...book.series.values()]
}

function scrapeProbe(
  { set, grow, noise, journey }: Book,
  world: World,
  converters: readonly { labels: Labels; up: boolean }[],
  { at, seconds, arriving, done, oldest }: Flow,
): void {
  set('up', { job: 'web' }, world.metricsUp && world.webUp && world.webScraped ? 1 : 0)
  for (const { labels, up } of converters) set('up', labels, world.metricsUp && up ? 1 : 0)
  set('up', { job: 'logs' }, world.logsUp ? 1 : 0)
  const slo = { job: 'slo' }
  const phases = Object.entries({ ...world.probe, transfer: 0.001, thumbnail: 0.3 })
  const answered = world.diskStands || world.refused > 0.5 ? 'processing' : world.probeDies
  const died = world.webUp ? answered : 'connect'
  const last = died ? phases.findIndex(([phase]) => phase === died) : phases.length
  const isLate = oldest > promiseSeconds
  const journeys = Math.floor(at / probeMs) - Math.floor((at - seconds * 1000) / probeMs)
  if (journeys > 0 || journey.size === 0) {
    for (const [i, [phase, value]] of phases.entries()) journey.set(phase, i <= last ? value * noise() : 0)
    journey.set('lost', died ? NaN : world.lost * noise())
  }
  for (const [phase] of phases) set('tintype_probe_seconds', { ...slo, phase }, journey.get(phase) as number)
  set('tintype_probe_lost_seconds', slo, journey.get('lost') as number)
  const fails = died || isLate || world.failing.uploads > 0.5 ? 1 : 0
  grow('tintype_probe_attempts_total', { ...slo, outcome: 'success' }, (1 - fails) * journeys)
  grow('tintype_probe_attempts_total', { ...slo, outcome: 'failure' }, fails * journeys)
  grow('tintype_promises_total', { ...slo, outcome: 'kept' }, isLate ? 0 : Math.round(done))
  grow('tintype_promises_total', { ...slo, outcome: 'broken' }, isLate ? Math.round(arriving) : 0)
}

/** The processor time of a process and its wait for a processor, in seconds. */
function scrapeProcess({ set, grow }: Book, job: Labels, world: World, seconds: number): void {
  const ran = (0.1 + world.garbage) * seconds
  grow('process_cpu_seconds_total', job, ran)
  grow('tintype_processor_wait_seconds_total', job, (ran * world.starved) / (1 - world.starved))
  grow('nodejs_gc_duration_seconds_sum', job, seconds * world.garbage)
  for (const [resource, share] of Object.entries({
    cpu: world.starved,
    memory: world.swapping,
    io: Number(world.diskStands),
  }))
    grow('tintype_machine_pressure_seconds_total', { ...job, resource }, seconds * share)
  grow('tintype_machine_oom_kills_total', job, seconds * world.oomKills)
  set('tintype_disk_free_bytes', job, world.disk.free)
  set('tintype_disk_size_bytes', job, 10e9)
  set('tintype_disk_free_files', job, world.disk.files)
  set('tintype_descriptors_used_ratio', job, world.descriptors)
}

/** The calls of a process to storage and queue. */
const calls = ({ observeOne }: Book, job: Labels, world: World) => ({
  store: (operation: string, count: number, mean: number) =>
    observeOne(['tintype_storage_seconds', { ...job, operation }], ['fs', 's3'], world.storage, count, mean),
  ask: (operation: string, count: number, mean: number) =>
    observeOne(
      ['tintype_queue_seconds', { ...job, operation }],
      ['sqlite', 'postgres'],
      world.engine,
      count,
      mean,
    ),
})

function scrapeWeb(book: Book, world: World, { at, seconds, arriving, done, queued, oldest }: Flow): void {
  const { set, grow, observe, noise } = book
  const web = { job: 'web' }
  scrapeProcess(book, web, world, seconds)
  grow('tintype_photos_total', { ...web, outcome: 'accepted' }, arriving + seconds / 15)
  const post = { ...web, http_route: '/photos', http_request_method: 'POST' }
  const uploads = world.photosASecond * seconds
  grow('http_server_request_duration_seconds_count', { ...post, http_response_status_code: '202' }, arriving)
  const { uploads: failed } = world.failing
  grow(
    'http_server_request_duration_seconds_count',
    { ...post, http_response_status_code: '503' },
    uploads * (failed + world.refused),
  )
  grow('tintype_photos_total', { ...web, outcome: 'shed' }, uploads * world.refused)
  const { store, ask } = calls(book, web, world)
  const get = { ...post, http_request_method: 'GET' }
  observe('http_server_request_duration_seconds', get, seconds, world.list + 0.002)
  const receive = world.body + world.put.web + world.queue.web + 0.005
  observe('tintype_stage_seconds', { ...web, stage: 'receive' }, arriving, receive)
  observe('tintype_client_wait_seconds', web, arriving, world.body)
  observe('tintype_session_seconds', web, arriving, world.session)
  for (const [operation, value] of Object.entries({
    put: world.put.web,
    get: world.get.web,
    list: world.list,
  }))
    store(operation, value > 0 ? uploads : 0, value)
  ask('enqueue', arriving, world.queue.web)
  ask('eventsAfter', done, world.queue.web)
  grow('tintype_calls_total', { ...web, of: 'storage', outcome: 'ours' }, uploads * failed)
  grow('tintype_calls_total', { ...web, of: 'queue', outcome: 'ours' }, arriving * world.failing.queue)
  const deliver = world.eventLag + world.get.web + world.put.converter + world.queue.converter + 0.02
  observe('tintype_stage_seconds', { ...web, stage: 'deliver' }, done, deliver)
  set('tintype_event_lag_seconds', web, world.eventLag * noise())
  set('nodejs_eventloop_lag_p99_seconds', web, world.lag.web * noise())
  set('process_start_time_seconds', web, startedAt(world, at))
  set('tintype_clock_seconds', web, at / 1000)
  set('tintype_queue_depth', web, Math.round(queued))
  set('tintype_queue_oldest_seconds', web, oldest)
  set('tintype_build_info', { ...web, version: world.version }, 1)
}

const startedAt = ({ webRestartsEverySeconds: every, webStarted }: World, at: number): number =>
  every === 0 ? webStarted : Math.floor(at / 1000 / every) * every

function scrapeConverter(
  book: Book,
  world: World,
  converter: Labels,
  { at, seconds, done, oldest, convert, holds }: Flow & Record<'convert' | 'holds', number>,
): void {
  const { set, grow, observe, noise } = book
  const { format } = world
  const stage = (name: string, mean: number) =>
    observe('tintype_stage_seconds', { ...converter, stage: name }, done, mean)
  const claimed = world.claims ? done : 0
  scrapeProcess(book, converter, world, seconds)
  stage('wait', oldest + world.queue.converter + 0.01 + world.skewSeconds)
  stage('convert', convert)
  if (world.failing.storage < 1) stage('store', world.put.converter + 0.002 + world.unexplained)
  const { store, ask } = calls(book, converter, world)
  store('put', done, world.put.converter)
  store('get', done, world.get.converter)
  grow(
    'tintype_calls_total',
    { ...converter, of: 'storage', outcome: 'ours' },
    done * 2 * world.failing.storage,
  )
  for (const operation of ['claim', 'complete']) ask(operation, claimed, world.queue.converter)
  grow('tintype_calls_total', { ...converter, of: 'queue', outcome: 'ours' }, claimed * world.failing.queue)
  for (const [outcome, count] of Object.entries({
    ok: 1,
    crash: world.crashes * 2,
    memory: world.outOfMemory * 2,
    timeout: 0,
  }))
    grow('tintype_conversions_total', { ...converter, outcome, format }, done * count)
  grow('tintype_input_pixels_total', { ...converter, format }, done * world.pixels)
  grow(
    'tintype_conversion_cpu_seconds_total',
    { ...converter, format },
    done * world.pixels * world.cpuPerPixel,
  )
  set('nodejs_eventloop_lag_p99_seconds', converter, world.lag.converter * noise())
  set('process_start_time_seconds', converter, world.converterStarted)
  set('tintype_clock_seconds', converter, at / 1000 + world.skewSeconds)
  set('tintype_slots', converter, world.slots)
  const busy = world.hung + Math.min(world.slots - world.hung, (done / seconds) * holds)
  set('tintype_slots_busy', converter, world.claims ? busy : 0)
  set('tintype_slot_oldest_seconds', converter, world.hung > 0 ? 12 : Math.min(convert, 1))
}
