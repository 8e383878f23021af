import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { endProcess, orElse } from '@tintype/lib/errors.ts'
import { askBounded, type BoundedAnswer, inWords, TooLong } from '@tintype/lib/http/bounded-request.ts'
import { countLimit, type LimitName, limits } from '@tintype/lib/limits.ts'
import { type Loop, onChange, type Pulse, startLoop, startPulse } from '@tintype/lib/repeat.ts'
import { lastMetricsFolder, lastMetricsName } from '@tintype/lib/telemetry/last-metrics.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { tokenHeaders } from '../token-headers.ts'
import { type ExposedSample, ExpositionError, parseExposition } from './exposition.ts'
import type { Writer } from './writer.ts'

/** `job` and `instance` identify a target, also when a restart moves it to another address. */
export type Target = { job: string; instance: string; url: URL; headers?: Readonly<Record<string, string>> }

/** Bounds of a scrape's timeout: a busy machine needs more than 200 ms. */
const minScrapeMs = 1_000
const maxScrapeMs = 10_000
/** A timeout ends this long before the interval: a round that ends later would skip the next one, of all targets. */
const restMs = 500
/** The last scrape of a minute is this long before its end, so that events are counted in their minute. */
const beforeTheMinuteMs = 500
/** Allowed time beyond an interval. A round takes no longer than its slowest scrape. */
const stalledSeconds = 60

type Options = {
  /** Called before each scrape, because processes come and go. `onTrouble` gets what is wrong with them, or null. */
  targets: (onTrouble?: (why: string | null) => void) => readonly Target[]
  /** It has the final metrics of stopped targets. */
  dataDir: string
  intervalMs: number
  /** Of recorded minutes; 0 means no limit. */
  keepDays: number
  store: Writer
  log: Log
}

const mixed =
  'a process that started earlier answers: several do in turn, and a part of their counts is lost (scrape each at its own address), or a clock was set back'

/** Scrapes all targets in parallel at each interval, aligned to the clock, and once more when stopped. */
export function startRecorder(options: Options): Loop & Pick<Pulse, 'stalled'> {
  const { intervalMs, store, log } = options
  const says = new Map<string, ReturnType<typeof sayOf>>()
  const sayTargets = onChange(why => why && log.error('targets.not-read', { why }))

  const round = async (timeoutMs: number, signal: AbortSignal, isLast: boolean): Promise<void> => {
    recordLeft(options)
    const at = Date.now()
    const scrapes = options.targets(sayTargets).map(async target => {
      const key = keyOf(target)
      const say = says.getOrInsertComputed(key, () => sayOf(log, target))
      const { samples, trouble, limit } = await scrape(target, timeoutMs, signal)
      // A target that was removed during its scrape is stopping, and is not reported as failed.
      const isWithdrawn = () => !options.targets().some(each => keyOf(each) === key)
      if (signal.aborted || (!samples && (isLast || isWithdrawn()))) return
      if (limit) countLimit(limit)
      try {
        const isMixed = store.append({ ...target, at, samples })
        say(trouble ?? (isMixed ? mixed : null))
      } catch (error) {
        say(trouble ?? `could not be recorded: ${(error as Error).message}`)
      }
    })
    await Promise.all(scrapes)
  }
  const turn = async (signal: AbortSignal): Promise<void> => {
    if (!store.isThere()) endProcess(new Error('the recorder’s file, its -wal or -shm was moved or removed'))
    await round(Math.min(maxScrapeMs, Math.max(minScrapeMs, intervalMs - restMs)), signal, false)
    const { samples, minutes } = store.prune(Date.now(), options.keepDays)
    countLimit('sampleAge', samples)
    countLimit('metricsAge', minutes)
  }
  const pulse = startPulse('the recorder', intervalMs / 1000 + stalledSeconds)
  const wait = () => {
    pulse.beat()
    return untilNextScrape(Date.now(), intervalMs)
  }
  const loop = startLoop(wait, turn, error => log.error('recorder.failed', { error: String(error) }))
  return {
    stalled: pulse.stalled,
    async stop() {
      await loop.stop()
      // The last counts of targets that still answer, and of those that stopped before.
      await round(minScrapeMs, new AbortController().signal, true)
    },
  }
}

const keyOf = ({ job, instance }: Target): string => `${job}.${instance}`

/** Records the final metrics of each stopped process once. */
function recordLeft({ dataDir, store, log }: Options): void {
  const folder = lastMetricsFolder(dataDir)
  for (const name of orElse([], () => readdirSync(folder))) {
    const [, job, instance] = lastMetricsName.exec(name) ?? []
    if (!job || !instance) continue
    const file = join(folder, name)
    try {
      const at = Math.floor(statSync(file).mtimeMs)
      const { samples } = bounded(parseExposition(readFileSync(file, 'utf8'), 'openmetrics'))
      store.append({ job, instance, at, samples })
      rmSync(file)
    } catch (error) {
      log.warn('last-metrics.not-recorded', { job, why: (error as Error).message })
      if (error instanceof ExpositionError) rmSync(file)
    }
  }
}

/** Milliseconds until the next scrape. Intervals below 2.5 s have no early scrape before the minute. */
export function untilNextScrape(nowMs: number, intervalMs: number): number {
  const early = intervalMs >= 5 * beforeTheMinuteMs ? beforeTheMinuteMs : 0
  return intervalMs - ((nowMs + early) % intervalMs)
}

/** A target's samples, or null and the reason. `limit`: the limit that was reached. */
type Exposed = { samples: ExposedSample[] | null; trouble: string | null; limit?: LimitName | undefined }

const readable = 'application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4; q=0.5'

/** Scrapes a target once. Never throws. A metric with too many series is left out. */
export async function scrape(
  { url, headers }: Pick<Target, 'url' | 'headers'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Exposed> {
  try {
    const options = {
      headers: { Accept: readable, ...tokenHeaders(headers) },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      maxMiB: limits.scrapeBytes.value,
    }
    const first = await askBounded(url.href, options)
    const elsewhere = redirectOf(url, first)
    const answer = elsewhere ? await askBounded(elsewhere.href, options) : first
    // Without the body, which may have another number each time: a trouble is logged when it changes.
    if (answer.status !== 200) return none(inWords({ ...answer, body: undefined }))
    // Some exporters return the whole Accept header as the type of their text.
    const isOpen = /^application\/openmetrics-text\b[^,]*$/i.test(answer.headers['content-type'] ?? '')
    return bounded(parseExposition(answer.body.toString(), isOpen ? 'openmetrics' : 'text'))
  } catch (error) {
    const { name, message } = error as Error
    if (error instanceof TooLong) return none(`${message}: not recorded`, 'scrapeBytes')
    if (error instanceof ExpositionError) return none(`cannot be read: ${message}`)
    return none(name === 'TimeoutError' ? `no answer within ${timeoutMs} ms` : message)
  }
}

/** Where an answer leads on the same host, such as from /metrics to /metrics/, which Prometheus follows, too. */
function redirectOf(url: URL, { status, headers: { location } }: BoundedAnswer): URL | undefined {
  const next = URL.parse(location ?? '', url.href)
  if (![301, 302, 307, 308].includes(status) || next?.hostname !== url.hostname) return undefined
  if (next.protocol !== url.protocol && next.protocol !== 'https:') return undefined
  return Object.assign(next, { username: url.username, password: url.password })
}

const none = (trouble: string, limit?: LimitName): Exposed => ({ samples: null, trouble, limit })

/** Leaves out metrics with too many series, which would fill the disk. A part of a metric would be wrong. */
function bounded(samples: ExposedSample[]): Exposed {
  const [ofMetric, ofProcess] = [limits.metricSeries.value, limits.processSeries.value]
  const tooMany = [...Map.groupBy(samples, ({ name }) => name)].filter(([, { length }]) => length > ofMetric)
  const kept = samples.filter(({ name }) => !tooMany.some(([dropped]) => dropped === name))
  if (kept.length > ofProcess)
    return none(`${samples.length} series, more than ${ofProcess}: none recorded`, 'processSeries')
  if (tooMany.length === 0) return { samples, trouble: null }
  const words = tooMany.map(([name, { length }]) => `${name} has ${length} series`).join(', ')
  return { samples: kept, trouble: `${words}, more than ${ofMetric}: not recorded`, limit: 'metricSeries' }
}

const sayOf = (log: Log, { job, url }: Target) =>
  onChange(why => {
    const about = { job, address: url.host }
    if (why === null) log.info('scrape.recovered', about)
    else log.warn('scrape.failed', { ...about, why })
  })
