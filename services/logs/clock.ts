import { uptime } from 'node:os'
import type { Clock } from './stamp.ts'

/** Difference that slewing and the resolution of uptime may cause. */
const toleratedMs = 2_000
/** A step of the clock that lasts this long counts as a correction. */
const believedAfterSeconds = 24 * 3_600

/**
 * The log server's clock, which may be right or wrong after a step of the wall clock. `steady` is the wall clock
 * without its steps since the start, from the uptime, which includes suspension and cannot be stepped.
 */
export function openClock() {
  const startedMs = Date.now() - uptime() * 1000
  const clocks = () => ({ wallMs: Date.now(), steadyMs: Math.round(startedMs + uptime() * 1000) })
  let wrong = false
  let aheadSince: number | undefined
  return {
    /** The clock for a batch that was sent at `sentMs` of its shipper's clock. `own`: this process is the shipper. */
    receive(sentMs: number, own: boolean): Clock {
      const { wallMs, steadyMs } = clocks()
      const isStepped = Math.abs(wallMs - steadyMs) > toleratedMs
      const isWitness = !own && !Number.isNaN(sentMs)
      if (isWitness) wrong = isStepped && Math.abs(sentMs - steadyMs) < Math.abs(sentMs - wallMs)
      const receivedMs = wrong ? steadyMs : wallMs
      return { receivedMs, offsetMs: Number.isNaN(sentMs) ? 0 : receivedMs - sentMs }
    },
    /** The time for actions that cannot be undone: a clock that jumped ahead counts only after a day. */
    believed(): number {
      const { wallMs, steadyMs } = clocks()
      aheadSince = wallMs - steadyMs > toleratedMs ? (aheadSince ?? uptime()) : undefined
      return aheadSince && uptime() - aheadSince < believedAfterSeconds ? steadyMs : wallMs
    },
  }
}

export type CheckedClock = ReturnType<typeof openClock>
