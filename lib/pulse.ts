/** The sign of life of a loop or a thread, for /livez. */
export type Pulse = {
  /** It moved, and must move again within its time. */
  beat(): void
  /** It waits for work, for however long. */
  rest(): void
  /** What has not moved for how long, when that is too long; else null. */
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

/** Of several, the first that does not move. */
export const firstStalled = (pulses: readonly Pick<Pulse, 'stalled'>[]): string | null =>
  pulses.map(pulse => pulse.stalled()).find(each => each !== null) ?? null
