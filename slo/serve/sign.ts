/**
 * A sign of life that is due every `limitMs`, by the monotonic clock, which stands still while the machine sleeps: neither a
 * step of the wall clock nor a pause of the whole machine is a missing sign. `missing`: since when it was missing before a
 * restart; it stays so until the sign comes.
 */
export function expectSign(limitMs: number, missing: number | null = null, clock = () => performance.now()) {
  let cameAt = clock()
  let since = missing
  /** When it last came, or began to be expected; epoch milliseconds by the wall clock as it is now. */
  const lastAt = (): number => Date.now() - (clock() - cameAt)
  return {
    lastAt,
    came(): void {
      cameAt = clock()
      since = null
    },
    /** Since when it is missing, epoch milliseconds; null while it comes often enough. */
    missingSince(): number | null {
      if (clock() - cameAt > limitMs) since ??= lastAt()
      return since
    },
  }
}
