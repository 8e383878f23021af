export type Pulse = ReturnType<typeof startPulse>

/** Longer than any call takes to answer, if only with an error (5 s of the queue): such a pause is a hang, as of a disk. */
const hangSeconds = 60

/** The heartbeat of a loop or a thread, for /livez. */
export function startPulse(name: string, withinSeconds = hangSeconds) {
  let movedAt: number | null = performance.now()
  return {
    /** The loop made progress, and must do so again within `withinSeconds`. */
    beat(): void {
      movedAt = performance.now()
    },
    /** The loop waits for work, without a deadline. */
    rest(): void {
      movedAt = null
    },
    /** Says that the loop is stalled, and for how long; else null. */
    stalled(): string | null {
      const seconds = movedAt === null ? 0 : (performance.now() - movedAt) / 1000
      return seconds > withinSeconds ? `${name} has not moved for ${Math.round(seconds)} s` : null
    },
  }
}

/** The message of the first stalled pulse, or null. */
export const firstStalled = (pulses: readonly Pick<Pulse, 'stalled'>[]): string | null =>
  pulses.map(pulse => pulse.stalled()).find(each => each !== null) ?? null
