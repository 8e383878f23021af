import { limits } from '@tintype/lib/limits.ts'
import type { ProbePhase } from '@tintype/lib/telemetry/catalogue.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import { type Loop, repeat } from '../serve/loop.ts'
import { type Journey, tidyUp, tidyUpAll, type Visitor, type Walk, walk } from '../tintype/journey.ts'

const spacingMs = 15_000
/** Journeys start within the first part of their quarter of the minute, so that a healthy one also ends in it. */
const jitterFromMs = 1_000
const jitterToMs = 9_000
/**
 * A visitor is kept for an hour. A new one each journey would leave 5,760 sessions a day in storage, and nobody
 * could find the photo of an upload that timed out; one for ever would never try a first visit.
 */
const visitorMs = 3_600_000
/** A stop waits this long for photos to be deleted. */
const tidyUpMs = 3_000

export type ProbeOptions = {
  target: URL
  token: string
  promiseSeconds: number
  metrics: Metrics
  log: Log
}

/**
 * The synthetic user: four journeys a minute, one in each quarter at a random moment. A minute missed is not made
 * up for. Each journey is counted once, in the minute in which it ends.
 */
export function startProbe(options: ProbeOptions): Loop {
  const { target, token, promiseSeconds, metrics, log } = options
  const underWay = new Set<Promise<void>>()
  const visitors = visitorsByTheHour()

  const one = async (signal: AbortSignal): Promise<void> => {
    const { visitor, retired } = visitors.now()
    const way: Walk = { target, token, promiseSeconds, visitor, signal }
    const journey = await walk(way)
    count(metrics, journey)
    if (journey.failure) log.warn('probe.failed', { ...journey.failure, phases: journey.phases })
    const left = journey.photo && (await tidyUp(way, journey.photo))
    if (left) log.warn('probe.photo-left', { why: left })
    if (retired) await tidyUpAll({ ...way, visitor: retired })
  }

  const start = async (signal: AbortSignal): Promise<void> => {
    // A journey takes at most about 95 s (three requests with their retries, and the promise): six or seven overlap.
    if (underWay.size >= limits.probeJourneys.value) {
      metrics.increment('tintype_limit_reached_total', { limit: 'probeJourneys' })
      log.warn('probe.skipped', { underWay: underWay.size })
      return
    }
    const journey = one(signal)
      .catch(error => signal.aborted || fail(error))
      .then(() => void underWay.delete(journey))
    underWay.add(journey)
  }
  const fail = (error: unknown) => log.error('probe.broken', { error: String(error) })
  const loop = repeat(() => untilNextStart(Date.now(), Math.random()), start, fail)

  return {
    async stop() {
      await Promise.all([loop.stop(), ...underWay])
      const signal = AbortSignal.timeout(tidyUpMs)
      for (const visitor of visitors.all())
        await tidyUpAll({ target, token, promiseSeconds, visitor, signal }).catch(() => {})
    },
  }
}

/** Milliseconds until the next journey: in the next quarter of the minute, `random` (0 to 1) says where. */
export function untilNextStart(nowMs: number, random: number): number {
  const quarter = (Math.floor(nowMs / spacingMs) + 1) * spacingMs
  return quarter - nowMs + jitterFromMs + random * (jitterToMs - jitterFromMs)
}

function count(metrics: Metrics, { phases, lostSeconds, failure }: Journey): void {
  for (const [phase, seconds] of Object.entries(phases))
    metrics.set('tintype_probe_seconds', { phase: phase as ProbePhase }, seconds)
  metrics.set('tintype_probe_lost_seconds', {}, lostSeconds)
  metrics.increment('tintype_probe_attempts_total', { outcome: failure ? 'failure' : 'success' })
}

/** The visitor of this hour, and once after each change the one before the last: no journey of theirs is under way. */
function visitorsByTheHour() {
  let current: Visitor = { cookie: undefined }
  let previous: Visitor | undefined
  let since = performance.now()
  return {
    now(): { visitor: Visitor; retired?: Visitor } {
      if (performance.now() - since < visitorMs) return { visitor: current }
      const retired = previous
      previous = current
      current = { cookie: undefined }
      since = performance.now()
      return { visitor: current, ...(retired && { retired }) }
    },
    all: (): Visitor[] => [current, ...(previous ? [previous] : [])],
  }
}
