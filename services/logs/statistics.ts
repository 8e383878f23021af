import { hasBytesAt, hashOf } from '@tintype/lib/telemetry/entry.ts'
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

/** Counts by hash: counting by names made from bytes would take a third of a publish's time. */
type Counts = Map<number, Count & { name: string }>

function add(counts: Counts, key: number, bytes: number, name: () => string): void {
  const known = counts.get(key)
  if (known) {
    known.entries++
    known.bytes += bytes
  } else counts.set(key, { name: name(), entries: 1, bytes })
}

/** Counts a day's entries by event and by session as the merge passes. */
export function statistics(): { add(source: StreamSource, bytes: number): void; result(): Statistics } {
  const events: Counts = new Map()
  const sessions: Counts = new Map()
  let share = 1

  return {
    add({ buffer, head }, bytes) {
      const from = head.payloadAt + eventOpen.length
      const to = buffer.indexOf(quote, from)
      const isNamed = hasBytesAt(buffer, head.payloadAt, eventOpen) && to - from <= maxEventBytes
      const event = isNamed ? hashOf(buffer, from, to) : -1
      if (event >= 0 && (events.size < maxEvents || events.has(event)))
        add(events, event, bytes, () => buffer.toString('utf8', from, to))
      else add(events, -1, bytes, () => 'other')
      const at = head.sessionAt
      if (at < 0) return
      const session = numberAt(buffer, at)
      if (session % share !== 0) return
      add(sessions, session, bytes, () => buffer.toString('latin1', at, at + 16))
      if (sessions.size <= maxSessions) return
      share *= 2
      for (const each of sessions.keys()) if (each % share !== 0) sessions.delete(each)
    },
    result: () => ({
      events: Object.fromEntries(largestFirst(events).map(({ name, ...count }) => [name, count])),
      sessions: sizes(largestFirst(sessions), 1 / share),
    }),
  }
}

/** A 52-bit hash of a session, which a number represents exactly. */
const numberAt = (bytes: Buffer, at: number): number =>
  hashOf(bytes, at, at + 8) * 2 ** 20 + (hashOf(bytes, at + 8, at + 16) >>> 12)

const largestFirst = (counts: Counts) =>
  [...counts.values()].sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1))

function sizes(sorted: (Count & { name: string })[], sampled: number): SessionSizes {
  const quantile = (q: number) => sorted[Math.floor((1 - q) * sorted.length)]?.bytes ?? 0
  return {
    count: Math.round(sorted.length / sampled),
    p50: quantile(0.5),
    p99: quantile(0.99),
    largest: sorted.slice(0, largestShown).map(({ name, ...count }) => ({ session: name, ...count })),
    sampled,
  }
}
