/** A sign of life that must come again and again. */
export type Sign = {
  came(): void
  /** When it last came, or when it was first waited for; epoch milliseconds by the clock as it stands now. */
  lastAt(): number
  /** Since when it is missing, epoch milliseconds; null while it comes often enough. */
  missingSince(): number | null
}

/**
 * Waits for a sign every `limitMs`, by a clock that nobody sets and that stands still while the machine sleeps: neither
 * a step of the clock nor a pause of the whole machine is a missing sign. `missing`: what was said before a restart,
 * which stands until the sign comes.
 */
export function expectSign(
  limitMs: number,
  missing: number | null = null,
  clock = () => performance.now(),
): Sign {
  let cameAt = clock()
  let since = missing
  const lastAt = () => Date.now() - (clock() - cameAt)
  return {
    came() {
      cameAt = clock()
      since = null
    },
    lastAt,
    missingSince() {
      if (clock() - cameAt > limitMs) since ??= lastAt()
      return since
    },
  }
}
