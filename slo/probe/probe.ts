import { countLimit, limits } from '@tintype/lib/limits.ts'
import { type Loop, onChange, startLoop } from '@tintype/lib/repeat.ts'
import type { MetricName } from '@tintype/lib/telemetry/definitions.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Facts } from '../alerts/alert-store.ts'

const spacingMs = 15_000
/** An attempt starts early in its quarter of the minute, so that a healthy one also ends in that quarter. */
const jitterFromMs = 1_000
const jitterToMs = 9_000
/** Automatic renewal happens about 30 days before the end: at 14 days it has failed twice. */
const leastCertificateDays = 14
/** How long a stop waits for the removal of what attempts left behind. */
const closeMs = 3_000

export type Attempt = {
  /** Seconds by phase; 0 for a phase that was not reached. */
  phases: Readonly<Record<string, number>>
  /** Days until the first of the certificates ends. */
  certificateDays?: number
  /** Absent on success. */
  failure?: { step: string; why: string }
  /** Removes what the attempt left behind. Called after the attempt was counted. */
  tidyUp?(): Promise<void>
}

export type Probe = {
  /** Makes an attempt. Faults of the service are a `failure`. @throws only the signal's reason when stopped. */
  attempt(signal: AbortSignal): Promise<Attempt>
  /** Removes what all attempts left behind. */
  close(signal: AbortSignal): Promise<void>
}

type ProbeOptions = {
  environment: Readonly<Record<string, string | undefined>>
  dataDir: string
  metrics: Metrics
  log: Log
  store: Facts
}

/** The exports of a module that `probe` of service.yaml names. */
export type ProbeModule = {
  /** Metrics of the catalogue: a counter by outcome, a gauge by phase, and others that the module sets. */
  names: { attempts: MetricName; seconds: MetricName; others: readonly MetricName[] }
  /** @throws ConfigError on a bad environment. */
  openProbe(options: ProbeOptions): Probe
}

/**
 * Starts the synthetic user: four attempts a minute, one in each quarter at a random moment. A missed attempt is not
 * repeated. Each attempt is counted once, in the minute in which it ends.
 */
export function startProbe(
  probe: Probe,
  names: ProbeModule['names'],
  { metrics, log }: Pick<ProbeOptions, 'metrics' | 'log'>,
): Loop {
  const underWay = new Set<Promise<void>>()
  const sayCertificate = onChange(days => log.warn('probe.certificate-ends', { days }))

  const one = async (signal: AbortSignal): Promise<void> => {
    const attempt = await probe.attempt(signal)
    count(metrics, names, attempt)
    const { certificateDays: days = Infinity } = attempt
    // A later one does not reset it: another server of the host may have the new certificate already.
    if (days < leastCertificateDays) sayCertificate(String(Math.floor(days)))
    if (attempt.failure) log.warn('probe.failed', { ...attempt.failure, phases: attempt.phases })
    await attempt.tidyUp?.()
  }

  const start = async (signal: AbortSignal): Promise<void> => {
    if (underWay.size >= limits.probeJourneys.value) {
      countLimit('probeJourneys')
      log.warn('probe.skipped', { underWay: underWay.size })
      return
    }
    const attempt = one(signal)
      .catch(error => signal.aborted || fail(error))
      .then(() => void underWay.delete(attempt))
    underWay.add(attempt)
  }
  const fail = (error: unknown) => log.error('probe.broken', { error: String(error) })
  const loop = startLoop(() => untilNextStart(Date.now(), Math.random()), start, fail)

  return {
    async stop() {
      await Promise.all([loop.stop(), ...underWay])
      await probe.close(AbortSignal.timeout(closeMs)).catch(() => {})
    },
  }
}

/** Milliseconds until the next attempt, in the next quarter of the minute. `random` (0 to 1) gives the moment. */
export function untilNextStart(nowMs: number, random: number): number {
  const quarter = (Math.floor(nowMs / spacingMs) + 1) * spacingMs
  return quarter - nowMs + jitterFromMs + random * (jitterToMs - jitterFromMs)
}

function count(metrics: Metrics, names: ProbeModule['names'], { phases, failure }: Attempt): void {
  // The names come from the directory's module at run time, so their types are not known here.
  const { attempts, seconds } = names as {
    attempts: 'slo_probe_attempts_total'
    seconds: 'slo_probe_seconds'
  }
  for (const [phase, took] of Object.entries(phases)) metrics.set(seconds, { phase: phase as 'dns' }, took)
  metrics.increment(attempts, { outcome: failure ? 'failure' : 'success' })
}
