import { hasBytesAt } from '@tintype/lib/telemetry/entry.ts'
import type { StreamSource } from './merge.ts'
import type { Count, SessionSizes } from './page/api.ts'

export type Statistics = { events: Record<string, Count>; sessions: SessionSizes }

/** Limits the memory of a publish: above it every second session is counted, then every fourth, … */
const maxSessions = 200_000
/** Above it all other events, and entries without an event, are counted as one. */
const maxEvents = 1_000
/** A longer event is not counted by name, because it could make the manifest as large as the day. */
const maxEventBytes = 128
const largestShown = 5

const eventOpen = Buffer.from('{"event":"')
const quote = 0x22

type Counts = Map<string, Count>

function add(counts: Counts, name: string, bytes: number): void {
  const known = counts.get(name)
  if (known) {
    known.entries++
    known.bytes += bytes
  } else counts.set(name, { entries: 1, bytes })
}

/** Counts a day's entries by event and by session as the merge passes. */
export function statistics(): { add(source: StreamSource, bytes: number): void; result(): Statistics } {
  const events: Counts = new Map()
  const sessions: Counts = new Map()
  let share = 1
  const isCounted = (session: string) => share === 1 || Number.parseInt(session.slice(-8), 16) % share === 0

  return {
    add({ buffer, head }, bytes) {
      const from = head.payloadAt + eventOpen.length
      const to = buffer.indexOf(quote, from)
      const isNamed = hasBytesAt(buffer, head.payloadAt, eventOpen) && to - from <= maxEventBytes
      const event = isNamed ? buffer.toString('utf8', from, to) : 'other'
      add(events, events.size < maxEvents || events.has(event) ? event : 'other', bytes)
      if (head.sessionAt < 0) return
      const session = buffer.toString('latin1', head.sessionAt, head.sessionAt + 16)
      if (!isCounted(session)) return
      add(sessions, session, bytes)
      if (sessions.size <= maxSessions) return
      share *= 2
      for (const each of sessions.keys()) if (!isCounted(each)) sessions.delete(each)
    },
    result: () => ({
      events: Object.fromEntries(largestFirst(events)),
      sessions: sizes(largestFirst(sessions), 1 / share),
    }),
  }
}

const largestFirst = (counts: Counts) =>
  [...counts].sort(([a, { bytes }], [b, { bytes: other }]) => other - bytes || (a < b ? -1 : 1))

function sizes(sorted: [session: string, Count][], sampled: number): SessionSizes {
  const quantile = (q: number) => sorted[Math.floor((1 - q) * sorted.length)]?.[1].bytes ?? 0
  return {
    count: Math.round(sorted.length / sampled),
    p50: quantile(0.5),
    p99: quantile(0.99),
    largest: sorted.slice(0, largestShown).map(([session, count]) => ({ session, ...count })),
    sampled,
  }
}
