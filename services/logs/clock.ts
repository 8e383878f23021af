import { uptime } from 'node:os'
import type { Clock } from './stamp.ts'

/** Difference that slewing and the resolution of uptime may cause. */
const toleratedMs = 2_000
/** A step that lasts this long is taken for a correction. */
const believedAfterSeconds = 24 * 3_600

/**
 * The log server's clock. After a step of the wall clock it may be right or wrong. `steady` is what the wall clock
 * would show without its steps since the start: uptime counts a suspended machine's sleep too, and nothing steps it.
 */
export function openClock() {
  const startedMs = Date.now() - uptime() * 1000
  const clocks = () => ({ wallMs: Date.now(), steadyMs: Math.round(startedMs + uptime() * 1000) })
  let wrong = false
  let aheadSince: number | undefined
  return {
    /** The clock for a batch that its shipper sent at `sentMs` by its own clock. `own`: this process sent it, so it proves nothing. */
    receive(sentMs: number, own: boolean): Clock {
      const { wallMs, steadyMs } = clocks()
      const isStepped = Math.abs(wallMs - steadyMs) > toleratedMs
      if (!own) wrong = isStepped && Math.abs(sentMs - steadyMs) < Math.abs(sentMs - wallMs)
      const receivedMs = wrong ? steadyMs : wallMs
      return { receivedMs, offsetMs: Number.isNaN(sentMs) ? 0 : receivedMs - sentMs }
    },
    /** The time for what cannot be undone: a clock that went ahead counts only after a day. */
    believed(): number {
      const { wallMs, steadyMs } = clocks()
      aheadSince = wallMs - steadyMs > toleratedMs ? (aheadSince ?? uptime()) : undefined
      return aheadSince && uptime() - aheadSince < believedAfterSeconds ? steadyMs : wallMs
    },
  }
}

export type CheckedClock = ReturnType<typeof openClock>
