import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { describeError } from '@tintype/lib/errors.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'
import type { AlertBook, Told } from './book.ts'

/** An alert that fires now. `group` is what one message is about: an objective, or the monitoring itself. */
export type Alert = {
  group: string
  /** The tier, or what is wrong with the monitoring: one alert of a group each. */
  name: string
  severity: 'page' | 'ticket'
  /** Epoch milliseconds. */
  since: number
  /** What a person needs to know, in a sentence or three. */
  text: string
  /** What diagnose says of it, when it has said something. */
  diagnosis: string | null
  /** An address, or a path below the pages. */
  runbook: string
}

/** While an alert fires it is said again after this, as Alertmanager's default has it. */
const repeatMs = 4 * 3_600_000
const webhookTimeoutMs = 10_000
/** A message that was not taken is tried again at once, then after these; after the last, with the next evaluation. */
const retryAfterMs = [1_000, 4_000]

export type Notifier = {
  /**
   * Sends what changed. `firing` is the whole of what fires now: what is missing has ended. Never rejects. While a
   * message is under way a newer update replaces one that waits; resolves when the newest is sent or given up.
   */
  update(firing: readonly Alert[], nowMs: number): Promise<void>
  /** Gives up what is under way: the next start sends it again. */
  stop(): Promise<void>
}

/**
 * Turns what fires into messages for a person: one message a group when it begins, when it becomes a page, every
 * four hours, and when all of it has ended. What was said is in the book, so a restart says nothing twice; a kill
 * between the receiver's answer and the book's commit does, and the message's Idempotency-Key is then the same.
 */
export function createNotifier(options: {
  book: AlertBook
  webhook: URL | null
  /** Where the pages are, for the message's links. */
  pages: () => string
  metrics: Pick<Metrics, 'increment'>
  log: Log
}): Notifier {
  const { book, webhook, pages, metrics, log } = options
  const stopping = new AbortController()
  let groups = new Map<string, readonly Alert[]>()
  let now = 0
  let changed = false
  let sending = false
  let round = Promise.resolve()

  const sendGroup = async (group: string): Promise<void> => {
    if (stopping.signal.aborted) return
    const before = book.told().find(each => each.group === group)
    const message = whatToSay(before, groups.get(group) ?? [], now)
    if (!message) return
    log[message.status === 'firing' ? 'warn' : 'info'](`alert.${message.status}`, {
      group,
      severity: message.severity,
      alerts: message.alerts.map(({ name }) => name),
    })
    const way = webhook && { webhook, pages: pages(), log, signal: stopping.signal }
    if (way === null || (await send(message, way))) book.tell(message)
  }

  /** One group after the other: two at once would each find the same thing unsaid. */
  const sendAll = async (): Promise<void> => {
    sending = true
    try {
      while (changed && !stopping.signal.aborted) {
        changed = false
        for (const group of new Set([...book.told().map(each => each.group), ...groups.keys()]))
          await sendGroup(group).catch(error => {
            if (!stopping.signal.aborted) log.error('alert.failed', { group, error: describeError(error) })
          })
      }
    } finally {
      sending = false
    }
  }

  return {
    update(firing, nowMs) {
      groups = Map.groupBy(firing, ({ group }) => group)
      now = nowMs
      changed = true
      if (sending) metrics.increment('tintype_limit_reached_total', { limit: 'alertMessages' })
      else round = sendAll()
      return round
    },
    async stop() {
      stopping.abort()
      await round
    },
  }
}

export type Message = Omit<Told, 'toldAt'> & { status: 'firing' | 'resolved'; at: number }

/** What a group has to say now, or null. A second tier of the same severity adds nothing to a person's night. */
export function whatToSay(told: Told | undefined, firing: readonly Alert[], nowMs: number): Message | null {
  const first = firing[0]
  if (!first) return told ? { ...told, status: 'resolved', at: nowMs } : null
  const severity = firing.some(each => each.severity === 'page') ? 'page' : 'ticket'
  const since = Math.min(told?.since ?? Infinity, ...firing.map(each => each.since))
  const alerts = [...firing]
  const message: Message = { group: first.group, status: 'firing', severity, since, alerts, at: nowMs }
  const worse = told?.severity === 'ticket' && severity === 'page'
  // A distance: the clock may have been ahead when it was said.
  return !told || worse || Math.abs(nowMs - told.toldAt) >= repeatMs ? message : null
}

type Way = { webhook: URL; pages: string; log: Log; signal: AbortSignal }

async function send(message: Message, way: Way): Promise<boolean> {
  const { group, status } = message
  for (const again of [...retryAfterMs, null]) {
    const why = await post(message, way)
    if (why === null) return true
    way.signal.throwIfAborted()
    way.log.error('alert.not-delivered', { group, status, why, again })
    if (again !== null) await delay(again, undefined, { signal: way.signal })
  }
  return false
}

async function post(message: Message, { webhook, pages, signal }: Way): Promise<string | null> {
  try {
    const response = await fetch(webhook, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': idempotencyKey(message) },
      body: JSON.stringify(payload(message, pages)),
      signal: AbortSignal.any([signal, AbortSignal.timeout(webhookTimeoutMs)]),
    })
    await response.body?.cancel()
    return response.ok ? null : `answer ${response.status}`
  } catch (error) {
    return String((error as Error).cause ?? error)
  }
}

/** The same for the same message however often it is sent: what changed, and since when. */
function idempotencyKey({ group, status, severity, since, at }: Message): string {
  const repeat = status === 'firing' ? Math.floor((at - since) / repeatMs) : 0
  return createHash('sha256')
    .update([group, status, severity, since, repeat].join(' '))
    .digest('hex')
    .slice(0, 32)
}

/** Alertmanager's webhook, version 4, so that a receiver serves both; `text` is what chat services read. */
export function payload({ group, status, severity, since, alerts, at }: Message, pages: string) {
  const labels = { alertname: 'Promise', group, severity }
  const text = [alerts[0]?.text, alerts[0]?.diagnosis].filter(Boolean).join(' ')
  // Alertmanager's annotations are free text: one that is no address must not keep the message from being sent.
  const runbooks = alerts.map(({ runbook }) => URL.parse(runbook, pages)?.href ?? runbook)
  const headline =
    status === 'firing' ? text : `Resolved: ${group}. It lasted ${minutes(at - since)}. Was: ${text}`
  return {
    version: '4',
    groupKey: `{group="${group}"}`,
    truncatedAlerts: 0,
    status,
    receiver: 'tintype',
    groupLabels: { group },
    commonLabels: labels,
    commonAnnotations: { summary: headline },
    externalURL: pages,
    text: status === 'firing' ? `${headline} What to do: ${runbooks[0]}` : headline,
    alerts: alerts.map((alert, i) => ({
      status,
      labels: { ...labels, alertname: alert.name, severity: alert.severity },
      annotations: {
        summary: alert.text,
        ...(alert.diagnosis && { diagnosis: alert.diagnosis }),
        runbook_url: runbooks[i],
      },
      startsAt: new Date(alert.since).toISOString(),
      endsAt: status === 'resolved' ? new Date(at).toISOString() : '0001-01-01T00:00:00Z',
      generatorURL: pages,
      fingerprint: createHash('sha256').update(`${group} ${alert.name}`).digest('hex').slice(0, 16),
    })),
  }
}

const minutes = (ms: number): string => `${Math.max(1, Math.round(ms / 60_000))} min`
