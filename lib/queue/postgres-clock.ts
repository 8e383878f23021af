export const serverNowSql = '(extract(epoch from clock_timestamp()) * 1000)::float8'

export type ServerClock = ReturnType<typeof openServerClock>

/** Age at which the next estimate replaces this one, because clocks drift apart. */
const freshMs = 10_000
/** Longer than any answer takes. An estimate lower by more means that the server's clock was set back. */
const stepMs = 1_000

export function openServerClock() {
  let offset = Number.NEGATIVE_INFINITY
  let measuredAt = 0
  return {
    /** Takes a time that the server has just sent, epoch ms. */
    set(ms: number): void {
      const now = performance.now()
      const measured = ms - now
      if (measured < offset && measured > offset - stepMs && now - measuredAt < freshMs) return
      offset = measured
      measuredAt = now
    },
    /** Epoch ms: never ahead of the server's clock, and behind it by the duration of the fastest answer. */
    now: () => Math.floor(performance.now() + offset),
  }
}
