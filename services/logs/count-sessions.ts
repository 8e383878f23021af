import type { StreamSource } from './merge.ts'
import type { Count, SessionSizes } from './page/api.ts'

/** Limits the memory of a publish: above it every second session is counted, then every fourth, … */
const maxSessions = 200_000
const largestShown = 5
const sessionDigits = 16

/** Counts a day's entries by session as the merge passes. */
export function countSessions() {
  const counts = new Map<string, Count>()
  let share = 1
  const isCounted = (session: string) => share === 1 || Number.parseInt(session.slice(-8), 16) % share === 0

  return {
    add({ buffer, head: { sessionAt } }: StreamSource, bytes: number): void {
      if (sessionAt < 0) return
      const session = buffer.toString('latin1', sessionAt, sessionAt + sessionDigits)
      if (!isCounted(session)) return
      const known = counts.get(session)
      if (known) {
        known.entries++
        known.bytes += bytes
      } else counts.set(session, { entries: 1, bytes })
      if (counts.size <= maxSessions) return
      share *= 2
      for (const each of counts.keys()) if (!isCounted(each)) counts.delete(each)
    },
    sizes(): SessionSizes {
      const sorted = [...counts].sort(([a, { bytes }], [b, more]) => more.bytes - bytes || (a < b ? -1 : 1))
      const quantile = (q: number) => sorted[Math.floor((1 - q) * sorted.length)]?.[1].bytes ?? 0
      return {
        count: sorted.length * share,
        p50: quantile(0.5),
        p99: quantile(0.99),
        largest: sorted.slice(0, largestShown).map(([session, count]) => ({ session, ...count })),
        sampled: 1 / share,
      }
    },
  }
}
