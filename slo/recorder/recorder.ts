import { readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCode } from '@tintype/lib/errors.ts'
import { type LimitName, limits } from '@tintype/lib/limits.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { removeOldTraces } from '@tintype/lib/telemetry/old-traces.ts'
import { onChange } from '../on-change.ts'
import { ExpositionError, parseExposition, type Sample } from './exposition.ts'
import type { Writer } from './schema.ts'

/** `job` and `instance` say which one it is, also when a restart moves it to another address. */
export type Target = { job: string; instance: string; url: URL }

/** A scrape takes at most one interval, within these bounds: a busy machine needs more than a fifth of a second. */
const minScrapeMs = 1_000
const maxScrapeMs = 10_000
/** The last scrape of a minute is just before its end, so that what happened in a minute is counted in it. */
const beforeTheMinuteMs = 500

/** A stop does not wait longer for what was counted since the last scrape. */
const lastScrapeMs = 1_000

/** Scrapes every target at each interval into the store, all at once, aligned to the clock, and once more at the stop. */
export function startRecorder(options: {
  targets: readonly Target[]
  /** Where targets that stop leave what they counted. */
  lastMetrics: string
  intervalMs: number
  keepDays: number
  /** Of processes that are gone: those that live remove their own. */
  traces: { folder: string; keepDays: number }
  store: Writer
  metrics: Pick<Metrics, 'increment'>
  log: Log
}): { stop(): Promise<void> } {
  const { intervalMs, store, metrics, log } = options
  const sayLast = onChange(why => why && log.warn('last-metrics.not-recorded', { why }))
  const targets = options.targets.map(target => ({ target, say: sayOf(log, target) }))
  const timeoutMs = Math.min(maxScrapeMs, Math.max(minScrapeMs, intervalMs))
  const stopping = new AbortController()

  const loop = async (): Promise<void> => {
    for (;;) {
      await delay(untilNextScrape(Date.now(), intervalMs), undefined, { signal: stopping.signal })
      sayLast(recordLast(options))
      const at = Date.now()
      await Promise.all(
        targets.map(async ({ target, say }) => {
          const { samples, trouble, limit } = await scrape(target, timeoutMs, stopping.signal)
          if (stopping.signal.aborted) return
          if (limit) metrics.increment('tintype_limit_reached_total', { limit })
          const kept = write(store, { ...target, at, samples })
          say(trouble ?? kept)
        }),
      )
      prune(options)
    }
  }
  /** What was counted since the last scrape, of those that stopped before us and of those that still answer. */
  const recordEnd = async (): Promise<void> => {
    sayLast(recordLast(options))
    const at = Date.now()
    const scrapes = options.targets.map(async target => {
      const { samples } = await scrape(target, lastScrapeMs, new AbortController().signal)
      if (samples) write(store, { ...target, at, samples })
    })
    await Promise.all(scrapes)
  }
  const looping = loop().catch(error => stopping.signal.aborted || Promise.reject(error))
  return {
    async stop() {
      stopping.abort()
      await looping
      await recordEnd()
    },
  }
}

/** Records what stopped targets left, each file once; says why one could not be. */
function recordLast({ lastMetrics, targets, store }: Parameters<typeof startRecorder>[0]): string | null {
  let trouble: string | null = null
  for (const { job, instance } of targets) {
    const file = join(lastMetrics, `${job}.${instance}.txt`)
    try {
      const at = Math.floor(statSync(file).mtimeMs)
      const { samples } = bounded(parseExposition(readFileSync(file, 'utf8'), 'openmetrics'))
      store.append({ job, instance, at, samples })
      rmSync(file)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') continue
      trouble = `${file}: ${(error as Error).message}`
      if (error instanceof ExpositionError) rmSync(file)
    }
  }
  return trouble
}

/** Milliseconds until the next scrape; an interval shorter than a few seconds has no room before the minute. */
export function untilNextScrape(nowMs: number, intervalMs: number): number {
  const early = intervalMs >= 5 * beforeTheMinuteMs ? beforeTheMinuteMs : 0
  return intervalMs - ((nowMs + early) % intervalMs)
}

function write(store: Writer, scrape: Parameters<Writer['append']>[0]): string | null {
  try {
    store.append(scrape)
    return null
  } catch (error) {
    return `could not be recorded: ${(error as Error).message}`
  }
}

function prune({ store, keepDays, traces, metrics, log }: Parameters<typeof startRecorder>[0]): void {
  try {
    const { samples, minutes } = store.prune(Date.now(), keepDays)
    metrics.increment('tintype_limit_reached_total', { limit: 'sampleAge' }, samples)
    metrics.increment('tintype_limit_reached_total', { limit: 'metricsAge' }, minutes)
    metrics.increment(
      'tintype_limit_reached_total',
      { limit: 'traceAge' },
      removeOldTraces(traces.folder, traces.keepDays),
    )
  } catch (error) {
    log.error('recorder.prune-failed', { error: String(error) })
  }
}

/** What a target exposes, or null and why it cannot be believed; `limit`: the one that was reached. */
type Exposed = { samples: Sample[] | null; trouble: string | null; limit?: LimitName }

/** Scrapes a target once; never throws. A metric with too many series is left out. */
export async function scrape(
  { url }: Pick<Target, 'url'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Exposed> {
  try {
    const response = await fetch(url, {
      headers: { Accept: 'application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4; q=0.5' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    const body = await readBounded(response)
    if (body === null) {
      const trouble = `more than ${limits.scrapeBytes.value} ${limits.scrapeBytes.unit}: not recorded`
      return { samples: null, trouble, limit: 'scrapeBytes' }
    }
    if (response.status !== 200) return { samples: null, trouble: `answered ${response.status}` }
    const openMetrics = response.headers.get('content-type')?.startsWith('application/openmetrics-text')
    return bounded(parseExposition(body, openMetrics ? 'openmetrics' : 'text'))
  } catch (error) {
    const { name, message, cause } = error as Error
    if (error instanceof ExpositionError) return { samples: null, trouble: `cannot be read: ${message}` }
    const why = name === 'TimeoutError' ? `no answer within ${timeoutMs} ms` : message
    return { samples: null, trouble: cause instanceof Error ? `${why}: ${cause.message}` : why }
  }
}

/** Null when it is too large. */
async function readBounded(response: Response): Promise<string | null> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > limits.scrapeBytes.value * 1024 * 1024) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** An unbounded label must not fill the disk, nor may half of a metric be taken for the whole. */
function bounded(samples: Sample[]): Exposed {
  const [ofMetric, ofProcess] = [limits.metricSeries.value, limits.processSeries.value]
  const counts = new Map<string, number>()
  for (const { name } of samples) counts.set(name, (counts.get(name) ?? 0) + 1)
  const tooMany = [...counts].filter(([, count]) => count > ofMetric)
  const dropped = new Set(tooMany.map(([name]) => name))
  const kept = samples.filter(({ name }) => !dropped.has(name))
  if (kept.length > ofProcess) {
    const trouble = `${samples.length} series, more than ${ofProcess}: none recorded`
    return { samples: null, trouble, limit: 'processSeries' }
  }
  if (tooMany.length === 0) return { samples, trouble: null }
  const words = tooMany.map(([name, count]) => `${name} has ${count} series`).join(', ')
  return { samples: kept, trouble: `${words}, more than ${ofMetric}: not recorded`, limit: 'metricSeries' }
}

/** Says what is wrong with a target, not every 15 s. */
const sayOf = (log: Log, { job, url }: Target) =>
  onChange(why => {
    const about = { job, address: url.host }
    if (why === null) log.info('scrape.recovered', about)
    else log.warn('scrape.failed', { ...about, why })
  })
