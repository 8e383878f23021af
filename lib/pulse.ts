/** The heartbeat of a loop or a thread, for /livez. */
export type Pulse = {
  /** The loop made progress and must do so again within its time. */
  beat(): void
  /** The loop waits for work, without a deadline. */
  rest(): void
  /** What is stalled and for how long, or null. */
  stalled(): string | null
}

export function startPulse(name: string, withinSeconds: number): Pulse {
  let movedAt: number | null = performance.now()
  return {
    beat() {
      movedAt = performance.now()
    },
    rest() {
      movedAt = null
    },
    stalled() {
      const seconds = movedAt === null ? 0 : (performance.now() - movedAt) / 1000
      return seconds > withinSeconds ? `${name} has not moved for ${Math.round(seconds)} s` : null
    },
  }
}

/** The first of several that is stalled, or null. */
export const firstStalled = (pulses: readonly Pick<Pulse, 'stalled'>[]): string | null =>
  pulses.map(pulse => pulse.stalled()).find(each => each !== null) ?? null
