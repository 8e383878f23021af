import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError, messagesOf } from '@tintype/lib/errors.ts'
import { askStatus, statusInWords } from '@tintype/lib/http/bounded-request.ts'
import { countLimit } from '@tintype/lib/limits.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Alert, AlertStore, Message, Sent } from './alert-store.ts'
import { runbookUrl } from './rules.ts'
import { cut } from './text.ts'

/** Interval of repeated messages about an alert that still fires; Alertmanager's default. */
const repeatMs = 4 * 3_600_000
const webhookTimeoutMs = 10_000
/** Pauses before a rejected message is sent again. After the last try it is sent with the next evaluation. */
const retryAfterMs = [1_000, 4_000, 0]
/** The longest Retry-After that is respected. Slack blocks senders that ignore it; a page must not wait for hours. */
const maxPauseMs = 60_000

export type Notifier = ReturnType<typeof createNotifier>

/**
 * Sends one message for a group when it begins, when it becomes a page, also again, every four hours, and when it ends.
 * A restart repeats only messages that a kill interrupted.
 */
export function createNotifier(options: {
  alertStore: AlertStore
  webhook: URL | null
  /** The address of the pages, for the message's links. */
  pages: () => string
  /** Labels added to each alert, such as the service. By them a receiver distinguishes groups of the same name. */
  labels?: Readonly<Record<string, string>>
  log: Log
}) {
  const { alertStore, webhook, pages, labels = {}, log } = options
  const receiver = digest(webhook?.href ?? '')
  const stopping = new AbortController()
  const { signal } = stopping
  let groups = new Map<string, readonly Alert[]>()
  /** The last firing alerts of each group: the resolved message gives the budget at the end, not at the beginning. */
  const lastFiring = new Map<string, readonly Alert[]>()
  /** Messages that did not arrive. When their alerts end, the resolved message is still sent: it says what happened. */
  const missed = new Map<string, Message>()
  let now = 0
  let changed = false
  let sending = false
  let round = Promise.resolve()

  const send = async (message: Message, webhook: URL): Promise<boolean> => {
    const { group, status } = message
    const body = payload(message, pages(), labels)
    for (const least of retryAfterMs) {
      const { why, pauseMs } = await post(webhook, idempotencyKey(body.groupKey, message), body, signal)
      if (why === null) return true
      signal.throwIfAborted()
      const again = Math.max(least, pauseMs)
      log.error('alert.not-delivered', { group, status, why, again })
      await sleep(again, undefined, { signal })
    }
    return false
  }

  const sendGroup = async (group: string): Promise<void> => {
    if (signal.aborted) return
    const sent = alertStore.sent().find(each => each.group === group)
    const firing = groups.get(group) ?? []
    if (sent?.severity === 'page' && !sent.isEased && firing.length > 0 && !firing.some(isPage))
      alertStore.ease(sent)
    // A message that only another receiver got is due here, and so is its end.
    const isHere = (sent?.receiver ?? receiver) === receiver
    const message = nextMessage(isHere ? sent : undefined, firing, missed.get(group) ?? sent, now)
    if (!message) return void missed.delete(group)
    // All alerts of an objective have one text. Those of the monitoring are about several things.
    const last = ({ name, text }: Alert) =>
      lastFiring.get(group)?.find(each => each.name === name || each.labels?.objective)?.text ?? text
    if (message.status === 'resolved')
      message.alerts = message.alerts.map(each => ({ ...each, text: last(each) }))
    const before = missed.get(group)
    if (before?.status !== message.status || before.severity !== message.severity)
      log[message.status === 'firing' ? 'warn' : 'info'](`alert.${message.status}`, {
        group,
        severity: message.severity,
        alerts: message.alerts.map(({ name }) => name),
      })
    if (webhook !== null && !(await send(message, webhook))) return void missed.set(group, message)
    alertStore.record(message, receiver)
    missed.delete(group)
  }

  const begun = () => new Set([...alertStore.sent().map(({ group }) => group), ...missed.keys()])

  /** Sends the messages of one group after the other. Two concurrent rounds would send a group twice. */
  const sendAll = async (): Promise<void> => {
    sending = true
    while (changed && !signal.aborted) {
      changed = false
      const urgency = (group: string) => Number(groups.get(group)?.some(isPage) ?? false)
      // Pages first: a receiver that limits its senders may take an hour for many tickets.
      const all = [...new Set([...begun(), ...groups.keys()])]
      for (const group of all.sort((one, other) => urgency(other) - urgency(one)))
        await sendGroup(group).catch(error => {
          if (!signal.aborted) log.error('alert.failed', { group, error: describeError(error) })
        })
    }
    const kept = begun()
    for (const group of lastFiring.keys())
      if (!kept.has(group) && !groups.has(group)) lastFiring.delete(group)
    sending = false
  }

  return {
    /** The groups whose first message was sent or is due, so that a resolved message must follow. */
    begun,
    /** Whether the receiver did not accept a message. */
    isStuck: () => missed.size > 0,
    /**
     * Sends what changed. An alert that is missing in `firing` has ended. Never rejects. During a round the newest
     * update waits.
     */
    update(firing: readonly Alert[], nowMs: number): Promise<void> {
      groups = Map.groupBy(firing, ({ group }) => group)
      for (const [group, alerts] of groups) lastFiring.set(group, alerts)
      now = nowMs
      changed = true
      if (sending) countLimit('alertMessages')
      else round = sendAll()
      return round
    },
    /** Aborts the message in progress. The next start sends it again. */
    async stop(): Promise<void> {
      stopping.abort()
      await round
      await alertStore.flush()
    },
  }
}

const isPage = ({ severity }: Alert): boolean => severity === 'page'

/**
 * The message that is due for a group now, or null. A second tier of the same severity needs no message. `last`: the last
 * message, also one that was not taken: if only its answer was lost, a receiver that follows each alert waits for its end.
 */
function nextMessage(
  sent: Sent | undefined,
  firing: readonly Alert[],
  last: Message | Sent | undefined,
  nowMs: number,
): Message | null {
  const first = firing[0]
  const over = (last?.alerts ?? [])
    .filter(({ name }) => !firing.some(each => each.name === name))
    .map(each => ({ endedAt: nowMs, ...each }))
  const at = Math.max(...over.map(({ endedAt }) => endedAt))
  if (!first) return last ? { ...last, status: 'resolved', alerts: over, at } : null
  const severity = firing.some(isPage) ? 'page' : 'ticket'
  const worse = severity === 'page' && (sent?.severity === 'ticket' || sent?.isEased)
  // The absolute value, because the clock may have been ahead at the last message.
  if (sent && sent === last && !worse && Math.abs(nowMs - sent.sentAt) < repeatMs) return null
  const since = Math.min(sent?.since ?? Infinity, ...firing.map(each => each.since))
  return { group: first.group, status: 'firing', severity, since, alerts: [...firing, ...over], at: nowMs }
}

/** Why the receiver rejected a message, or null, and how long it asks to wait. */
async function post(webhook: URL, key: string, body: object, signal: AbortSignal) {
  try {
    // Not fetch, which refuses an address with a password and turns a redirected POST into a GET. Only the status is
    // read: a receiver that accepted a message must not get it again because its response is long or never ends.
    const answer = await askStatus(webhook.href, {
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(webhookTimeoutMs)]),
    })
    if (answer.status >= 200 && answer.status < 300) return { why: null, pauseMs: 0 }
    return { why: statusInWords(answer), pauseMs: pauseOf(answer.headers['retry-after']) }
  } catch (error) {
    return { why: messagesOf(error), pauseMs: 0 }
  }
}

/** Milliseconds of a Retry-After, which is in seconds or a date. */
function pauseOf(header = '0'): number {
  const ms = Number.isNaN(Number(header)) ? Date.parse(header) - Date.now() : Number(header) * 1000
  return Math.min(maxPauseMs, Math.max(0, ms || 0))
}

/** The same key for repetitions of a message, also from two processes that saw the alert begin in the same minute. */
function idempotencyKey(groupKey: string, { status, severity, since, at, alerts }: Message): string {
  const repeat = status === 'firing' ? Math.floor((at - since) / repeatMs) : 0
  // A page that follows an ended one while tickets fire is another message.
  const worst = alerts.filter(each => each.severity === severity && each.endedAt === undefined)
  const began = status === 'firing' ? Math.min(...worst.map(each => each.since)) : since
  const over = status === 'firing' ? alerts.flatMap(({ name, endedAt }) => (endedAt ? name : [])) : []
  return digest([groupKey, status, severity, Math.floor(began / 60_000), repeat, ...over].join(' '), 32)
}

const digest = (text: string, length = 16) => createHash('sha256').update(text).digest('hex').slice(0, length)

/** A message as Alertmanager's webhook sends it (version 4), so that one receiver fits both. Chats read `text`. */
export function payload(message: Message, pages: string, more: Readonly<Record<string, string>>) {
  const { group, status, severity, since, alerts, at } = message
  // A directory may have objectives of several services. Alerts of the monitoring are of the directory's own.
  const { service } = alerts[0]?.labels ?? {}
  const groupLabels = { ...more, ...(service && { service }), group }
  const groupKey = JSON.stringify(groupLabels)
  const labels = { ...groupLabels, severity }
  const text = cut([alerts[0]?.text, alerts[0]?.diagnosis].filter(Boolean).join(' '), 900)
  const dashboard = dashboardUrl(since, pages)
  const runbooks = alerts.map(({ runbook }) => runbookUrl(runbook, pages))
  const minutes = Math.max(1, Math.round((at - since) / 60_000))
  const headline = status === 'firing' ? text : `Resolved: ${group}. It lasted ${minutes} min. Was: ${text}`
  return {
    version: '4',
    groupKey,
    truncatedAlerts: 0,
    status,
    receiver: 'slo',
    groupLabels,
    commonLabels: labels,
    commonAnnotations: { summary: headline, dashboard_url: dashboard },
    externalURL: pages,
    text: status === 'firing' ? `${headline} Page: ${dashboard} What to do: ${runbooks[0]}` : headline,
    alerts: alerts.map((alert, i) => ({
      status: alert.endedAt === undefined ? 'firing' : 'resolved',
      labels: { alertname: alert.name, ...alert.labels, ...labels, severity: alert.severity },
      annotations: {
        summary: cut(alert.text, 900),
        ...(alert.diagnosis && { diagnosis: alert.diagnosis }),
        runbook_url: runbooks[i],
        dashboard_url: dashboardUrl(alert.since, pages),
      },
      startsAt: new Date(alert.since).toISOString(),
      endsAt: alert.endedAt === undefined ? '0001-01-01T00:00:00Z' : new Date(alert.endedAt).toISOString(),
      generatorURL: dashboard,
      fingerprint: digest(`${groupKey} ${alert.name}`),
    })),
  }
}

const dashboardUrl = (atMs: number, pages: string) => new URL(`?at=${Math.floor(atMs / 1000)}`, pages).href
