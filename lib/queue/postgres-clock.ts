/** The server's clock, in milliseconds. */
export const serverNow = '(extract(epoch from clock_timestamp()) * 1000)::float8'

export type ServerClock = {
  /** A time that the server has just told. */
  heard(ms: number): void
  /** Epoch milliseconds: never ahead of the server's clock, and behind it by what the fastest answer took. */
  now(): number
}

/** Clocks drift apart: an older estimate is replaced by whatever comes. */
const freshMs = 10_000
/** No answer takes longer to arrive while the process runs: the server's clock was set back. */
const stepMs = 1_000

export function openClock(): ServerClock {
  let offset = Number.NEGATIVE_INFINITY
  let measuredAt = 0
  return {
    heard(ms) {
      const now = performance.now()
      const measured = ms - now
      if (measured < offset && measured > offset - stepMs && now - measuredAt < freshMs) return
      offset = measured
      measuredAt = now
    },
    now: () => Math.floor(performance.now() + offset),
  }
}
