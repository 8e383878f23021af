export type Pulse = ReturnType<typeof startPulse>

/** The heartbeat of a loop or a thread, for /livez. */
export function startPulse(name: string, withinSeconds: number) {
  let movedAt: number | null = performance.now()
  return {
    /** The loop made progress and must do so again within its time. */
    beat(): void {
      movedAt = performance.now()
    },
    /** The loop waits for work, without a deadline. */
    rest(): void {
      movedAt = null
    },
    /** What is stalled and for how long, or null. */
    stalled(): string | null {
      const seconds = movedAt === null ? 0 : (performance.now() - movedAt) / 1000
      return seconds > withinSeconds ? `${name} has not moved for ${Math.round(seconds)} s` : null
    },
  }
}

/** The first of several that is stalled, or null. */
export const firstStalled = (pulses: readonly Pick<Pulse, 'stalled'>[]): string | null =>
  pulses.map(pulse => pulse.stalled()).find(each => each !== null) ?? null
