import { setTimeout as delay } from 'node:timers/promises'
import { startPulse } from '@tintype/lib/pulse.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { onChange } from '../on-change.ts'
import { ExpositionError, parseExposition, type Sample } from './exposition.ts'
import type { Writer } from './schema.ts'

export type Target = { job: string; url: URL }

/** A scrape takes at most one interval, within these bounds: a busy machine needs more than a fifth of a second. */
const minScrapeMs = 1_000
const maxScrapeMs = 10_000
/** A service of ours exposes about 400 series, 60 kB; what is far beyond is a mistake and would fill the disk. */
const maxBodyBytes = 16 * 1024 * 1024
const maxSeriesPerMetric = 2_000
const maxSeriesPerTarget = 20_000
/** The last scrape of a minute is just before its end, so that what happened in a minute is counted in it. */
const beforeTheMinuteMs = 500
/** Beyond an interval; a turn takes no longer than its slowest scrape. */
const stalledSeconds = 60

/** Scrapes every target at each interval into the store, all at once, aligned to the clock. */
export function startRecorder(options: {
  targets: readonly Target[]
  intervalMs: number
  store: Writer
  log: Log
}): { stalled(): string | null; stop(): Promise<void> } {
  const pulse = startPulse('the recorder', options.intervalMs / 1000 + stalledSeconds)
  const { intervalMs, store, log } = options
  const targets = options.targets.map(target => ({ target, say: sayOf(log, target) }))
  const timeoutMs = Math.min(maxScrapeMs, Math.max(minScrapeMs, intervalMs))
  const stopping = new AbortController()

  const loop = async (): Promise<void> => {
    for (;;) {
      pulse.beat()
      await delay(untilNextScrape(Date.now(), intervalMs), undefined, { signal: stopping.signal })
      const at = Date.now()
      await Promise.all(
        targets.map(async ({ target, say }) => {
          const { samples, trouble } = await scrape(target, timeoutMs, stopping.signal)
          if (stopping.signal.aborted) return
          const { job, url } = target
          const kept = write(store, { job, instance: url.host, at, samples })
          say(trouble ?? kept)
        }),
      )
      prune(store, log)
    }
  }
  const looping = loop().catch(error => stopping.signal.aborted || Promise.reject(error))
  return {
    stalled: pulse.stalled,
    async stop() {
      stopping.abort()
      await looping
    },
  }
}

/** Milliseconds until the next scrape; an interval shorter than a few seconds has no room before the minute. */
export function untilNextScrape(nowMs: number, intervalMs: number): number {
  const early = intervalMs >= 5 * beforeTheMinuteMs ? beforeTheMinuteMs : 0
  return intervalMs - ((nowMs + early) % intervalMs)
}

function write(store: Writer, scrape: Parameters<Writer['append']>[0]): string | null {
  try {
    return store.append(scrape) === 'kept'
      ? null
      : 'the clock stands before the last scrape: not recorded until it has passed it'
  } catch (error) {
    return `could not be recorded: ${(error as Error).message}`
  }
}

function prune(store: Writer, log: Log): void {
  try {
    store.prune(Date.now())
  } catch (error) {
    log.error('recorder.prune-failed', { error: String(error) })
  }
}

/** What a target exposes, or null and why it cannot be believed; a metric with too many series is left out. */
export async function scrape(
  { url }: Target,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ samples: Sample[] | null; trouble: string | null }> {
  try {
    const response = await fetch(url, {
      headers: { Accept: 'application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4; q=0.5' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    const body = await readBounded(response)
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

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > maxBodyBytes) throw new ExpositionError(`more than ${maxBodyBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** An unbounded label must not fill the disk, nor may half of a metric be taken for the whole. */
function bounded(samples: Sample[]): { samples: Sample[] | null; trouble: string | null } {
  const counts = new Map<string, number>()
  for (const { name } of samples) counts.set(name, (counts.get(name) ?? 0) + 1)
  const tooMany = [...counts].filter(([, count]) => count > maxSeriesPerMetric)
  const dropped = new Set(tooMany.map(([name]) => name))
  const kept = samples.filter(({ name }) => !dropped.has(name))
  if (kept.length > maxSeriesPerTarget)
    return {
      samples: null,
      trouble: `${samples.length} series, more than ${maxSeriesPerTarget}: none recorded`,
    }
  const words = tooMany.map(([name, count]) => `${name} has ${count} series`)
  return {
    samples: kept,
    trouble: words.length > 0 ? `${words.join(', ')}, more than ${maxSeriesPerMetric}: not recorded` : null,
  }
}

/** Says what is wrong with a target, not every 15 s. */
const sayOf = (log: Log, { job, url }: Target) =>
  onChange(why => {
    const about = { job, instance: url.host }
    if (why === null) log.info('scrape.recovered', about)
    else log.warn('scrape.failed', { ...about, why })
  })
