import type { LimitName } from '../limits.ts'

const waiting = new Map<LimitName, number>()

/** Counts a limit that was reached where a process has no metrics yet: in what is preloaded. */
export const limitReached = (limit: LimitName, by: number): void =>
  void waiting.set(limit, (waiting.get(limit) ?? 0) + by)

/** What was counted since the last call: createMetrics asks before each scrape. */
export function takeReached(): [limit: LimitName, by: number][] {
  const reached = [...waiting]
  waiting.clear()
  return reached
}
