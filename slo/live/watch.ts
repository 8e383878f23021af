import { setTimeout as delay } from 'node:timers/promises'
import { describe } from '@tintype/lib/http.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { AlertBook } from '../alerts/book.ts'
import type { Alert, Notifier } from '../alerts/notifier.ts'
import { alertsOf } from '../alerts/text.ts'
import type { Minute } from '../source/index.ts'
import type { History } from './history.ts'
import { type Episode, episodes, type Standing, standing } from './standing.ts'

/** After the full minute, so that its last scrape is in. */
const settleMs = 2_000
/** No evaluation for this long, and somebody must look: three were missed. */
const blindMs = 3 * 60_000
/** Alertmanager repeats its Watchdog each minute (k8s and compose configure it so). */
const watchdogMs = 5 * 60_000
const heartbeatTimeoutMs = 5_000

export type View = { history: History; standing: Standing; episodes: Episode[] }

export type Watch = {
  /** What the last evaluation saw; empty before the promise began. */
  views(): readonly View[]
  /** When the source last answered, epoch milliseconds. */
  seenAt(): number
  /** What Alertmanager says of some alerts, and which of them fire; joined with our own by group and name. */
  report(told: readonly Alert[], firing: readonly Alert[]): void
  /** Alertmanager's own sign of life. */
  heardWatchdog(): void
  stop(): Promise<void>
}

/** Evaluates every promise each minute, tells the notifier, and watches that it does. */
export function startWatch(options: {
  histories: readonly History[]
  notifier: Notifier
  book: AlertBook
  heartbeat: URL | null
  log: Log
}): Watch {
  const { histories, notifier, book, heartbeat, log } = options
  const stopping = new AbortController()
  let views: View[] = []
  let seenAt = Date.now()
  let own: Alert[] = []

  const tell = (): Promise<void> => {
    const now = Date.now()
    return notifier.update(join([...own, ...reported(book), ...silence(now, seenAt, book)]), now)
  }

  const evaluate = async (now: Minute): Promise<void> => {
    const seen = await Promise.all(histories.map(history => refresh(history, now, log)))
    if (seen.every(Boolean)) seenAt = Date.now()
    views = histories.flatMap(history => view(history, now))
    own = views.flatMap(({ history, standing, episodes }) => alertsOf(history.objective, standing, episodes))
    await tell()
    if (heartbeat && seen.every(Boolean)) await beat(heartbeat, log)
  }

  const loop = async (): Promise<void> => {
    for (let first = true; ; first = false) {
      const now = Date.now()
      const wait = first ? 0 : 60_000 - ((now - settleMs) % 60_000)
      await delay(wait, undefined, { signal: stopping.signal })
      await evaluate(Math.floor(Date.now() / 60_000)).catch(error =>
        log.error('evaluation.failed', { error: describe(error) }),
      )
    }
  }
  const looping = loop().catch(() => {})
  // Apart from the loop: it must speak when the loop hangs.
  const deadMansCheck = setInterval(() => void tell().catch(() => {}), blindMs / 6)

  return {
    views: () => views,
    seenAt: () => seenAt,
    report(told, firing) {
      const spoken = new Set(told.map(keyOf))
      const others = reported(book).filter(alert => !spoken.has(keyOf(alert)))
      book.note('reported', [...others, ...firing])
      void tell()
    },
    heardWatchdog: () => book.note('watchdog', Date.now()),
    async stop() {
      stopping.abort()
      clearInterval(deadMansCheck)
      await looping
    },
  }
}

async function refresh(history: History, now: Minute, log: Log): Promise<boolean> {
  try {
    await history.refresh(now)
    return true
  } catch (error) {
    log.error('source.away', { objective: history.objective.name, error: describe(error) })
    return false
  }
}

function view(history: History, now: Minute): View[] {
  const { tally, from, start } = history.current()
  if (start === null || start >= now) return []
  const { objective } = history
  // A minute before the promise began is no minute of it: nobody is woken by the time before.
  return [
    {
      history,
      standing: standing(objective, tally, start, now),
      episodes: episodes(objective, tally, Math.max(from, start), now),
    },
  ]
}

/** One of each group and name; our own text comes first and stays. */
const join = (alerts: readonly Alert[]): Alert[] => [
  ...new Map(alerts.toReversed().map(alert => [keyOf(alert), alert])).values(),
]

const keyOf = ({ group, name }: Alert): string => `${group} ${name}`

const reported = (book: AlertBook): Alert[] => book.noted<Alert[]>('reported') ?? []

/** What fires when those who should speak do not. */
export function silence(nowMs: number, seenAt: number, book: AlertBook): Alert[] {
  const watchdog = book.noted<number>('watchdog')
  const alert = (name: string, since: number, text: string): Alert => ({
    group: 'monitoring',
    name,
    severity: 'page',
    since,
    text,
    runbook: `docs/runbooks/${name}.md`,
  })
  return [
    ...(nowMs - seenAt > blindMs
      ? [
          alert(
            'monitoring-blind',
            seenAt,
            'Nobody knows whether the promises are kept: no measurement could be read.',
          ),
        ]
      : []),
    ...(watchdog !== undefined && nowMs - watchdog > watchdogMs
      ? [
          alert(
            'watchdog-silent',
            watchdog,
            'Prometheus or Alertmanager is silent: alerts from there would not arrive.',
          ),
        ]
      : []),
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
