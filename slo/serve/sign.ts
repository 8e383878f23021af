/**
 * A sign of life that is due every `limitMs`. The monotonic clock, which stops while the machine sleeps, measures it: a step
 * of the wall clock or a suspension is no missing sign. `missing`: since when it has been missing, also before this start.
 */
export function expectSign(limitMs: number, missing: number | null = null, clock = () => performance.now()) {
  let cameAt = clock()
  let since = missing
  /** When the sign last came or was first expected, epoch ms by the current wall clock. */
  const lastAt = (): number => Date.now() - (clock() - cameAt)
  return {
    lastAt,
    came(): void {
      cameAt = clock()
      since = null
    },
    /** Since when the sign is missing, epoch ms; null while it comes in time. */
    missingSince(): number | null {
      if (clock() - cameAt > limitMs) since ??= lastAt()
      return since
    },
  }
}

/**
 * Says whether this process ran without a pause since the last call, which is due every `everyMs`. After a SIGSTOP or a
 * paused container a missing sign may have arrived and wait to be read.
 */
export function sawNoPause(everyMs: number, clock = () => performance.now()): () => boolean {
  let calledAt = clock()
  return () => {
    const passedMs = clock() - calledAt
    calledAt += passedMs
    return passedMs < 2 * everyMs
  }
}
