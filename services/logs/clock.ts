import { openSteadyClock, toleratedMs } from '@tintype/lib/steady-clock.ts'
import type { Clock } from './stamp.ts'

/** The log server's clock, which may be right or wrong after a step of the wall clock. */
export function openClock() {
  const { steady, believed } = openSteadyClock()
  let wrong = false
  return {
    /** The clock for a batch that was sent at `sentMs` of its shipper's clock. `own`: this process is the shipper. */
    receive(sentMs: number, own: boolean): Clock {
      const [wallMs, steadyMs] = [Date.now(), steady()]
      const isStepped = Math.abs(wallMs - steadyMs) > toleratedMs
      const isWitness = !own && !Number.isNaN(sentMs)
      if (isWitness) wrong = isStepped && Math.abs(sentMs - steadyMs) < Math.abs(sentMs - wallMs)
      const receivedMs = wrong ? steadyMs : wallMs
      return { receivedMs, offsetMs: Number.isNaN(sentMs) ? 0 : receivedMs - sentMs }
    },
    believed,
  }
}

export type CheckedClock = ReturnType<typeof openClock>
