import { uptime } from 'node:os'

/** Difference that slewing and the resolution of uptime may cause. */
const toleratedMs = 2_000
/** A step of the clock that lasts this long counts as a correction. */
const believedAfterSeconds = 24 * 3_600

/** The wall clock, and what is known of its steps since the start: the uptime includes suspension and is never stepped. */
export function openSteadyClock() {
  const startedMs = Date.now() - uptime() * 1000
  let aheadSince: number | undefined
  const steady = (): number => Math.round(startedMs + uptime() * 1000)
  const aheadMs = (): number => Date.now() - steady()
  return {
    /** The wall clock without its steps since the start. */
    steady,
    isStepped: (): boolean => Math.abs(aheadMs()) > toleratedMs,
    /** The time for actions that cannot be undone: a clock that jumped ahead counts only after a day. */
    believed(): number {
      aheadSince = aheadMs() > toleratedMs ? (aheadSince ?? uptime()) : undefined
      return aheadSince && uptime() - aheadSince < believedAfterSeconds ? steady() : Date.now()
    },
  }
}
