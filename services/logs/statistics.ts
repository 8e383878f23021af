import { type Count, countByBytes } from './counts.ts'
import type { Source } from './merge.ts'

/** Of the bytes that one session's entries take in a day. */
export type SessionSizes = {
  count: number
  p50: number
  p99: number
  largest: ({ session: string } & Count)[]
  /** 1: every session was looked at; less: this share of them, chosen by hash, so the rest are estimates. */
  sampled: number
}

export type Statistics = { events: Record<string, Count>; sessions: SessionSizes }

/** Keeps the memory of a publish bounded: beyond it every second session is looked at, then every fourth, … */
const maxSessions = 200_000
/** An event's name is a constant of the code; when there are more they are no longer told apart. */
const maxEvents = 1_000
const largestShown = 5

const eventOpen = '{"event":"'
const other = Buffer.from('other')
const quote = 0x22

/** Counts a day's entries by event and by session as the merge passes. */
export function statistics(): { add(source: Source, bytes: number): void; result(): Statistics } {
  const events = countByBytes()
  let sessions = countByBytes()
  let mask = 0

  const thinOut = () => {
    mask = mask * 2 + 1
    const kept = countByBytes()
    for (const [session, { entries, bytes }] of sessions.all()) {
      const key = Buffer.from(session)
      if (isLeftOut(key, 0, mask)) continue
      kept.add(key, 0, key.length, bytes, entries)
    }
    sessions = kept
  }

  return {
    add(source, bytes) {
      const { buffer, head, end } = source
      const from = head.payloadAt + eventOpen.length
      let to = from
      while (to < end && buffer[to] !== quote) to++
      if (events.size < maxEvents) events.add(buffer, from, to, bytes)
      else events.add(other, 0, other.length, bytes)
      if (head.sessionAt < 0 || isLeftOut(buffer, head.sessionAt, mask)) return
      sessions.add(buffer, head.sessionAt, head.sessionAt + 16, bytes)
      if (sessions.size > maxSessions) thinOut()
    },
    result: () => ({
      events: Object.fromEntries(events.all().sort(largestFirst)),
      sessions: sizes(sessions.all(), 1 / (mask + 1)),
    }),
  }
}

/** A session is a hash already: its first digits are as good as random. */
function isLeftOut(bytes: Buffer, at: number, mask: number): boolean {
  return mask > 0 && (Number.parseInt(bytes.toString('latin1', at, at + 6), 16) & mask) !== 0
}

const largestFirst = (a: [string, Count], b: [string, Count]): number =>
  b[1].bytes - a[1].bytes || (a[0] < b[0] ? -1 : 1)

function sizes(sessions: [string, Count][], sampled: number): SessionSizes {
  const sorted = sessions.sort(largestFirst)
  const quantile = (q: number) => sorted[Math.floor((1 - q) * sorted.length)]?.[1].bytes ?? 0
  return {
    count: Math.round(sorted.length / sampled),
    p50: quantile(0.5),
    p99: quantile(0.99),
    largest: sorted.slice(0, largestShown).map(([session, size]) => ({ session, ...size })),
    sampled,
  }
}
