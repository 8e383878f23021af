import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describeError, messagesOf } from '@tintype/lib/errors.ts'
import { askStatus, statusInWords } from '@tintype/lib/http/bounded-request.ts'
import { staleMs } from '@tintype/lib/page/browser/server.ts'
import { onChange, startLoop, startPulse } from '@tintype/lib/repeat.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Alert, AlertStore } from '../alerts/alert-store.ts'
import type { Sends } from '../alerts/alertmanager.ts'
import type { Notifier } from '../alerts/notifier.ts'
import { alertsOf, clock, cut } from '../alerts/text.ts'
import type { Directory } from '../directory.ts'
import { isBurning } from '../math/burn-rate.ts'
import { readablePlanned } from '../math/planned.ts'
import { toMinute } from '../math/time.ts'
import { ungrouped } from '../sources/groups.ts'
import type { Minute, Objective } from '../sources/index.ts'
import { type Diagnoser, inShort } from './diagnosis.ts'
import type { Evaluations } from './evaluations.ts'
import { expectSign, sawNoPause } from './sign.ts'
import type { View } from './view.ts'

/** Pause after the full minute, so that its last scrape is stored. */
const settleMs = 2_000
/** Alertmanager repeats SloWatchdog each minute (`slo rules --alertmanager` configures it so). */
const watchdogMs = 5 * 60_000
/** Longer than `staleMs`, so that the alert is sent before the launcher ends the process. */
const stalledSeconds = 5 * 60
const heartbeatTimeoutMs = 5_000
/** Longest wait for a verdict, which takes one or two seconds. */
const verdictMs = 10_000
const monitoring = 'monitoring'

export type Watch = ReturnType<typeof startWatch>
/** What the parts of `slo serve` have in common. */
export type Serving = { metrics: Metrics; log: Log; watch: Watch; directory: Directory; dataDir: string }

/**
 * Evaluates every objective each minute, updates the notifier, and watches that evaluations happen. If Alertmanager
 * notifies, slo sends only what Alertmanager cannot: that the source or an objective is unreadable, alerts without
 * rules in Prometheus, and all alerts while SloWatchdog is missing.
 */
export function startWatch(options: {
  evaluations: Evaluations
  notifier: Notifier
  alertStore: AlertStore
  /** Which objectives' alerts an Alertmanager sends; null when slo alone notifies. */
  alertmanager: (() => Promise<Sends>) | null
  heartbeat: URL | null
  diagnosis: Diagnoser
  pages: () => string
  /** Has the planned downtime. */
  dataDir: string
  log: Log
}) {
  const { evaluations, notifier, alertStore, heartbeat, diagnosis, pages, dataDir, log } = options
  let views: View[] = []
  const sent = alertStore.sent().flatMap(({ alerts }) => alerts)
  const sentSince = (name: Absence, of?: Objective) =>
    sent.find(alert => alert.group === monitoringOf(of) && alert.name === name)?.since ?? null
  const measured = evaluations.objectives.map(objective => ({
    objective,
    sign: expectSign(staleMs, sentSince('monitoring-blind', objective) ?? sentSince('monitoring-blind')),
  }))
  const watchdog = expectSign(watchdogMs, sentSince('watchdog-silent'))
  const isRouted = () => alertStore.get('watchdog', 0) !== undefined
  // Until the first evaluation the alerts that were sent before the restart still fire.
  let own: Alert[] = sent.filter(({ name }) => !(name in absences))
  let alertmanagerSends: Sends = () => options.alertmanager !== null
  const logAway = onChange(why => (why ? log.error('source.away', { error: why }) : log.info('source.back')))
  const logLeftOut = onChange(why => why && log.warn('groups.left-out', { why }))
  const logSender = onChange(who => log.warn('alerts.sender', { sender: who ?? 'slo' }))

  /** Does not wait, because a hanging webhook must not delay the next evaluation. */
  const notify = (): void => {
    const now = Date.now()
    const found = diagnosis.found(now)
    const verdict = found && inShort(found, pages())
    // SloWatchdog can be missing only if it was ever routed to slo, by a Prometheus that slo still reads.
    const silent = options.alertmanager && isRouted() ? watchdog.missingSince() : null
    const delegated = new Set(evaluations.objectives.filter(alertmanagerSends).map(({ id }) => id))
    if (silent !== null) delegated.clear()
    logSender(delegated.size === 0 ? null : `Alertmanager, of ${[...delegated].join(', ')}`)
    const unruled = delegated.size === 0 ? '' : ' slo sends this: Prometheus has no rules of this objective.'
    const downtime = downtimeAt(toMinute(now), dataDir)
    // slo also sends the end of alerts that it began to send.
    const begunHere = notifier.begun()
    const alerts = own.flatMap(alert => {
      const isDelegated = delegated.has(ungrouped(alert.group))
      if (isDelegated && !begunHere.has(alert.group)) return []
      const more = (isDelegated ? '' : unruled) + downtime
      // After a restart the sent text has it already.
      const text = alert.text.endsWith(more) ? alert.text : alert.text + more
      return [{ ...alert, text, diagnosis: verdict }]
    })
    const watchdogAlerts = absenceAlerts('watchdog-silent', silent)
    void notifier.update([...alerts, ...blindAlerts(begunHere), ...watchdogAlerts], now)
  }

  /** One alert for each objective that cannot be read. When none can be read, one for all, and the ones that were sent. */
  const blindAlerts = (begunHere: ReadonlySet<string>): Alert[] => {
    const unread = evaluations.unread()
    const each = measured.flatMap(({ objective, sign }) =>
      absenceAlerts('monitoring-blind', sign.missingSince(), objective, unread.get(objective.id)),
    )
    if (each.length < measured.length) return each
    const since = Math.max(...each.map(alert => alert.since))
    const [why] = unread.values()
    const begun = each.filter(({ group }) => begunHere.has(group))
    return [...begun, ...absenceAlerts('monitoring-blind', since, undefined, why)]
  }

  /** A Prometheus that does not answer or has just started is asked again in a minute, for up to `watchdogMs`. */
  const reached = expectSign(watchdogMs)
  const askForAlertmanager = async (): Promise<void> => {
    try {
      alertmanagerSends = (await options.alertmanager?.()) ?? (() => false)
      reached.came()
    } catch {
      if (reached.missingSince() !== null) alertmanagerSends = () => false
    }
  }

  const pulse = startPulse('the evaluation', stalledSeconds)
  const readNow = () => measured.filter(({ objective }) => !evaluations.unread().has(objective.id))
  /** Each read is progress: a long evaluation is not stalled, and a waiting objective is not unreadable. */
  const onRead = (isRead: boolean): void => {
    pulse.beat()
    for (const { sign } of isRead ? readNow() : []) if (sign.missingSince() === null) sign.came()
  }

  const evaluate = async (now: Minute, signal: AbortSignal): Promise<void> => {
    const [away] = await Promise.all([evaluations.read(now, onRead), askForAlertmanager()])
    logAway(away)
    logLeftOut(evaluations.leftOut())
    // Pauses, because the probe's requests must not wait for all objectives.
    views = await evaluations.viewsAt(now, nextTurn)
    for (const { sign } of readNow()) sign.came()
    // Minutes that could not be read count as offline, and a verdict would read the same source.
    const isRead = ({ objective }: View) => !evaluations.unread().has(ungrouped(objective.id))
    if (views.some(view => isRead(view) && isBurning(view, view.at))) await look(signal)
    const firing = views.flatMap(alertsOf)
    // An alert does not end while its objective cannot be read.
    const isLeft = ({ group, name }: Alert) =>
      evaluations.unread().has(ungrouped(group)) &&
      !firing.some(each => each.group === group && each.name === name)
    own = [...firing, ...own.filter(isLeft)]
    notify()
    // An alert that reaches no receiver is as good as none: the dead-man's switch pages instead.
    if (heartbeat && readNow().length > 0 && !notifier.isStuck()) await beat(heartbeat, log)
  }

  /** The first message contains a verdict if one is ready in time. A page does not wait longer for it. */
  const look = async (signal: AbortSignal): Promise<void> => {
    const late = once(AbortSignal.any([signal, AbortSignal.timeout(verdictMs)]), 'abort')
    await Promise.race([diagnosis.look(), late])
  }

  let evaluated = false
  const untilNext = () => {
    pulse.beat()
    return evaluated ? 60_000 - ((Date.now() - settleMs) % 60_000) : 0
  }
  const evaluateNow = (signal: AbortSignal) => {
    evaluated = true
    return evaluate(toMinute(Date.now()), signal)
  }
  const fail = (error: Error) => log.error('evaluation.failed', { error: describeError(error) })
  const loop = startLoop(untilNext, evaluateNow, fail)
  // A separate timer, because it must send when the loop hangs. After a pause the loop evaluates first.
  const isRunning = sawNoPause(staleMs / 6)
  const deadMansCheck = setInterval(() => isRunning() && notify(), staleMs / 6)

  return {
    /** Says that no evaluation has begun for too long, though one is due each minute; else null. */
    stalled: pulse.stalled,
    /** The last evaluation; empty before the SLO began. */
    views: (): readonly View[] => views,
    viewsAt: evaluations.viewsAt,
    /**
     * Until when the state is known, epoch milliseconds: all objectives about minutes that have begun were read, by which
     * it is online or not. Without any, one of the others.
     */
    seenAt(): number {
      const slices = views.filter(({ objective }) => objective.method === 'Timeslices')
      const begun = new Set(slices.map(({ objective }) => ungrouped(objective.id)))
      const times = (of: typeof measured) => of.map(({ sign }) => sign.lastAt())
      const read = times(measured.filter(({ objective }) => begun.has(objective.id)))
      return read.length > 0 ? Math.min(...read) : Math.max(...times(measured))
    },
    receiveWatchdog(): void {
      watchdog.came()
      if (!isRouted()) alertStore.set('watchdog', Date.now())
    },
    /** SloWatchdog is not missed until it arrives again: Alertmanager may now send it to another dead-man's switch. */
    forgetWatchdog: (): void => alertStore.set('watchdog', null),
    async stop(): Promise<void> {
      clearInterval(deadMansCheck)
      await loop.stop()
    },
  }
}

/** A sentence about the downtime that is planned now; empty without one. */
function downtimeAt(minute: Minute, dataDir: string): string {
  const planned = readablePlanned(dataDir).find(({ from, to }) => from <= minute && minute < to)
  return planned ? ` A downtime is planned until ${clock(planned.to, minute)}: ${planned.reason}.` : ''
}

export const absences = {
  'monitoring-blind':
    'No measurement could be read for three minutes: whether objectives are met is not known.',
  'watchdog-silent':
    'SloWatchdog does not arrive: Prometheus or Alertmanager is down or cannot reach slo, or a silence matches it. slo sends the alerts of objectives itself until it arrives.',
}

type Absence = keyof typeof absences

const monitoringOf = (objective?: Objective) => (objective ? `${monitoring} of ${objective.id}` : monitoring)

/** The alert about a sign of life that is missing since a time, for one objective or all, with the reason. */
export function absenceAlerts(name: Absence, since: number | null, of?: Objective, why = ''): Alert[] {
  if (since === null) return []
  const text = of
    ? `No measurement of “${of.displayName}” could be read for three minutes: whether it is met is not known, other objectives are judged. ${cut(why)}`
    : `${absences[name]} ${cut(why)}`.trim()
  const runbook = `docs/runbooks/${name}.md`
  return [{ group: monitoringOf(of), name, severity: 'page', since, text, diagnosis: null, runbook }]
}

async function beat(url: URL, log: Log): Promise<void> {
  try {
    const signal = AbortSignal.timeout(heartbeatTimeoutMs)
    const answer = await askStatus(url.href, { signal })
    // Redirects are not followed, so their target has received nothing.
    if (answer.status >= 300) throw new Error(statusInWords(answer))
  } catch (error) {
    log.warn('heartbeat.failed', { error: messagesOf(error) })
  }
}
