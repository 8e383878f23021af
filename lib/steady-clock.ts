import { uptime } from 'node:os'
import { oldestMs } from './day.ts'

/** Difference that slewing and the resolution of uptime may cause. */
export const toleratedMs = 2_000
/** A step of the clock that lasts this long counts as a correction. */
const believedAfterSeconds = 24 * 3_600

/** The wall clock, and what is known of its steps since the start: the uptime includes suspension and is never stepped. */
export function openSteadyClock() {
  const startedMs = Date.now() - uptime() * 1000
  let aheadSince: number | undefined
  const steady = (): number => Math.round(startedMs + uptime() * 1000)
  return {
    /** The wall clock without its steps since the start. */
    steady,
    /** The time for actions that cannot be undone. A clock that jumped ahead is believed after a day; from 1970, at once. */
    believed(): number {
      const [wallMs, steadyMs] = [Date.now(), steady()]
      if (steadyMs < oldestMs) return wallMs
      aheadSince = wallMs - steadyMs > toleratedMs ? (aheadSince ?? uptime()) : undefined
      return aheadSince && uptime() - aheadSince < believedAfterSeconds ? steadyMs : wallMs
    },
  }
}
