import type { Source } from './merge.ts'

export type Count = { entries: number; bytes: number }

/** Of the bytes that one session's entries take in a day. */
export type SessionSizes = {
  count: number
  p50: number
  p99: number
  largest: ({ session: string } & Count)[]
  /** 1: every session was looked at; less: this share of them, chosen by hash, so quantiles are estimates. */
  sampled: number
}

export type Statistics = { events: Record<string, Count>; sessions: SessionSizes }

/** Keeps the memory of a publish bounded; beyond it every second session is looked at, then every fourth, … */
const maxSessions = 200_000
/** An event's name is a constant of the code; more than this are counted together as `other`. */
const maxEvents = 500
const largestShown = 5

const eventOpen = '{"event":"'
const quote = 0x22

/** Counts a day's entries by event and by session as the merge passes. */
export function statistics(): { add(source: Source, bytes: number): void; result(): Statistics } {
  const events = new Map<string, Count>()
  const sessions = new Map<string, Count>()
  let mask = 0

  const thinOut = () => {
    mask = mask * 2 + 1
    for (const session of sessions.keys()) if (isLeftOut(session, mask)) sessions.delete(session)
  }

  return {
    add(source, bytes) {
      const event = eventOf(source)
      count(events, events.has(event) || events.size < maxEvents ? event : 'other', bytes)
      const { sessionAt } = source.head
      if (sessionAt < 0) return
      const session = source.buffer.toString('latin1', sessionAt, sessionAt + 16)
      if (mask > 0 && isLeftOut(session, mask)) return
      count(sessions, session, bytes)
      if (sessions.size > maxSessions) thinOut()
    },
    result: () => ({
      events: Object.fromEntries(
        [...events].sort((a, b) => b[1].bytes - a[1].bytes || (a[0] < b[0] ? -1 : 1)),
      ),
      sessions: sizes(sessions, 1 / (mask + 1)),
    }),
  }
}

/** A session is a hash already: its last digits are as good as random. */
const isLeftOut = (session: string, mask: number): boolean =>
  (Number.parseInt(session.slice(-8), 16) & mask) !== 0

function eventOf({ buffer, head, end }: Source): string {
  const from = head.payloadAt + eventOpen.length
  const to = buffer.indexOf(quote, from)
  return to < end && to > from ? buffer.toString('latin1', from, to) : 'other'
}

function count(counts: Map<string, Count>, key: string, bytes: number): void {
  const known = counts.get(key)
  if (known) {
    known.entries++
    known.bytes += bytes
  } else counts.set(key, { entries: 1, bytes })
}

function sizes(sessions: Map<string, Count>, sampled: number): SessionSizes {
  const bySize = [...sessions].sort((a, b) => a[1].bytes - b[1].bytes || (a[0] < b[0] ? -1 : 1))
  const quantile = (q: number) => bySize[Math.max(0, Math.ceil(q * bySize.length) - 1)]?.[1].bytes ?? 0
  return {
    count: Math.round(bySize.length / sampled),
    p50: quantile(0.5),
    p99: quantile(0.99),
    largest: bySize
      .slice(-largestShown)
      .reverse()
      .map(([session, size]) => ({ session, ...size })),
    sampled,
  }
}
