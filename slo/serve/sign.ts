/**
 * A sign of life that must come every `limitMs`, by a clock that nobody sets and that stands still while the machine sleeps:
 * neither a step of the clock nor a pause of the whole machine is a missing sign. `missing`: since when it was said to be
 * missing before a restart, which stands until the sign comes.
 */
export function expectSign(limitMs: number, missing: number | null = null, clock = () => performance.now()) {
  let cameAt = clock()
  let since = missing
  /** When it last came, or was first waited for; epoch milliseconds by the clock as it stands now. */
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
