import { setTimeout as delay } from 'node:timers/promises'
import { describeError } from '@tintype/lib/errors.ts'
import { limits } from '@tintype/lib/limits.ts'
import { startPulse } from '@tintype/lib/pulse.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { AlertBook } from '../alerts/book.ts'
import type { Alert, Notifier } from '../alerts/notifier.ts'
import { alertsOf } from '../alerts/text.ts'
import type { Minute, Source } from '../sources/index.ts'
import { startOf } from '../sources/recorded.ts'
import { type Diagnosis, inShort } from './diagnosis.ts'
import type { History } from './history.ts'
import { repeat } from './loop.ts'
import { onChange } from './on-change.ts'
import { expectSign } from './sign.ts'
import { type View, viewOf } from './view.ts'

/** After the full minute, so that its last scrape is in. */
const settleMs = 2_000
/** No evaluation for this long, and somebody must look: three were missed. */
const blindMs = 3 * 60_000
/** Alertmanager repeats its Watchdog each minute (k8s and compose configure it so). */
const watchdogMs = 5 * 60_000
/** The alert comes first: a process that is started again finds what it was told (alerts/book.ts). */
const stalledSeconds = 5 * 60
const heartbeatTimeoutMs = 5_000
/** A verdict takes a second or two. */
const verdictMs = 10_000
/** The group of alerts about the monitoring itself. */
const monitoring = 'monitoring'

export type Watch = {
  /** What the last evaluation saw; empty before the promise began. */
  views(): readonly View[]
  /** When the source last answered, epoch milliseconds. */
  seenAt(): number
  /** What Alertmanager says of some alerts, and which of them fire; joined with our own by group and name. */
  report(told: readonly Alert[], firing: readonly Alert[]): void
  /** Alertmanager's own sign of life. */
  heardWatchdog(): void
  /** That no evaluation has begun for too long, though one is due each minute. */
  stalled(): string | null
  stop(): Promise<void>
}

/** Evaluates every promise each minute, tells the notifier, and watches that it does. */
export function startWatch(options: {
  histories: readonly History[]
  source: Source
  notifier: Notifier
  book: AlertBook
  metrics: Pick<Metrics, 'increment'>
  heartbeat: URL | null
  diagnosis: Diagnosis
  /** Where the pages are. */
  pages: () => string
  log: Log
}): Watch {
  const { histories, source, notifier, book, metrics, heartbeat, diagnosis, pages, log } = options
  let views: View[] = []
  const told = book.told().flatMap(({ alerts }) => alerts)
  const toldSince = (name: string) =>
    told.find(alert => alert.group === monitoring && alert.name === name)?.since ?? null
  const measured = expectSign(blindMs, toldSince('monitoring-blind'))
  const watchdog = expectSign(watchdogMs, toldSince('watchdog-silent'))
  // Until the first evaluation, what was told still stands: a restart ends no alert.
  let own: Alert[] = told.filter(({ group }) => group !== monitoring)
  let begun: Minute | undefined
  const sayAway = onChange(why => (why ? log.error('source.away', { error: why }) : log.info('source.back')))

  /** Waits for nobody: a webhook that hangs must not keep the next minute from being evaluated. */
  const tell = (): void => {
    const now = Date.now()
    const found = diagnosis.found(now)
    const verdict = found && inShort(found, pages())
    const ours = histories.map(({ objective }) => objective.name)
    const promises = join([...own, ...reported(book)]).map(alert =>
      ours.includes(alert.group) ? { ...alert, diagnosis: verdict } : alert,
    )
    // Only a watchdog that spoke once can fall silent.
    const silent = book.noted('watchdog') === undefined ? null : watchdog.missingSince()
    const missing = [
      ...silence('monitoring-blind', measured.missingSince()),
      ...silence('watchdog-silent', silent),
    ]
    void notifier.update([...promises, ...missing], now)
  }

  const evaluate = async (now: Minute, signal: AbortSignal): Promise<void> => {
    const away = await refresh(now)
    if (away === null) measured.came()
    sayAway(away)
    const start = begun ?? book.noted<Minute>('begun')
    views =
      start === undefined || start >= now
        ? []
        : histories.map(({ objective, known }) => viewOf(objective, known(), start, now))
    if (views.some(burns)) await look(signal)
    const firing = views.flatMap(alertsOf)
    // What is not seen has not ended.
    own = begun === undefined ? join([...firing, ...own]) : firing
    tell()
    if (heartbeat && away === null) await beat(heartbeat, log)
  }

  /** Why the source did not answer, or null. Each history marks its own minutes, so all are asked. */
  const refresh = async (now: Minute): Promise<string | null> => {
    try {
      const asked = await Promise.allSettled(histories.map(history => history.refresh(now)))
      for (const each of asked) if (each.status === 'rejected') throw each.reason
      // In the future: it was noted while the clock was ahead.
      if (begun === undefined || begun >= now) begun = await begin()
      return null
    } catch (error) {
      return describeError(error)
    }
  }

  /** When the promise began; noted for a start while the source is away: then no data is offline, too. */
  const begin = async (): Promise<Minute | undefined> => {
    const start = await startOf(
      source,
      histories.map(({ objective, known }) => ({ objective, slots: known().slots })),
      Math.min(...histories.map(({ known }) => known().from)),
    )
    if (start !== undefined) book.note('begun', start)
    return start
  }

  /** A verdict belongs to the first message, which a person reads; but no page waits for one that does not come. */
  const look = async (signal: AbortSignal): Promise<void> => {
    const late = delay(verdictMs, undefined, { signal, ref: false }).catch(() => {})
    await Promise.race([diagnosis.look(Date.now()), late])
  }

  const pulse = startPulse('the evaluation', stalledSeconds)
  let evaluated = false
  const loop = repeat(
    () => {
      pulse.beat()
      return evaluated ? 60_000 - ((Date.now() - settleMs) % 60_000) : 0
    },
    async signal => {
      evaluated = true
      await evaluate(Math.floor(Date.now() / 60_000), signal)
    },
    error => log.error('evaluation.failed', { error: describeError(error) }),
  )
  // Apart from the loop: it must speak when the loop hangs.
  const deadMansCheck = setInterval(tell, blindMs / 6)

  return {
    stalled: pulse.stalled,
    views: () => views,
    seenAt: measured.lastAt,
    report(told, firing) {
      const spoken = new Set(told.map(keyOf))
      const all = [...reported(book).filter(alert => !spoken.has(keyOf(alert))), ...firing]
      const forgotten = Math.max(0, all.length - limits.reportedAlerts.value)
      metrics.increment('tintype_limit_reached_total', { limit: 'reportedAlerts' }, forgotten)
      book.note('reported', all.slice(forgotten))
      tell()
    },
    heardWatchdog() {
      watchdog.came()
      if (book.noted('watchdog') === undefined) book.note('watchdog', Date.now())
    },
    async stop() {
      clearInterval(deadMansCheck)
      await loop.stop()
    },
  }
}

/** Begins to burn: in the short window of a tier already as fast as it alerts on. */
const burns = ({ burns }: View): boolean => burns.some(({ tier, short }) => short >= tier.factor)

/** One of each group and name; our own text comes first and stays. */
const join = (alerts: readonly Alert[]): Alert[] => [
  ...new Map(alerts.toReversed().map(alert => [keyOf(alert), alert])).values(),
]

const keyOf = ({ group, name }: Alert): string => `${group} ${name}`

const reported = (book: AlertBook): Alert[] => book.noted<Alert[]>('reported') ?? []

const silences = {
  'monitoring-blind': 'Nobody knows whether the promises are kept: no measurement could be read.',
  'watchdog-silent': 'Prometheus or Alertmanager is silent: alerts from there would not arrive.',
}

/** What fires when a sign of life is missing since a time. */
export function silence(name: keyof typeof silences, since: number | null): Alert[] {
  if (since === null) return []
  const runbook = `docs/runbooks/${name}.md`
  return [
    { group: monitoring, name, severity: 'page', since, text: silences[name], diagnosis: null, runbook },
  ]
}

async function beat(url: URL, log: Log): Promise<void> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(heartbeatTimeoutMs) })
    await response.body?.cancel()
  } catch (error) {
    log.warn('heartbeat.failed', { error: String(error) })
  }
}
