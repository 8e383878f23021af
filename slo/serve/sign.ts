/**
 * A sign of life that is due every `limitMs`, by the monotonic clock, which stops while the machine sleeps: neither a
 * step of the wall clock nor a suspension counts as a missing sign. `missing`: since when it was missing before a
 * restart. It stays missing until the sign comes.
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
 * Says whether this process ran since the last call, which is due every `everyMs`. After it was stopped or its container
 * paused, a sign that is missing may only wait to be read.
 */
export function sawNoPause(everyMs: number, clock = () => performance.now()): () => boolean {
  let calledAt = clock()
  return () => {
    const passedMs = clock() - calledAt
    calledAt += passedMs
    return passedMs < 2 * everyMs
  }
}
