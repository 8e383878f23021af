/** A time without entries. */
export type Gap = { fromMs: number; toMs: number }

const gapPercent = 4

/** Places times on an axis, in percent of its width. A gap without entries is only a narrow strip. */
export function axisOf(fromMs: number, toMs: number, gaps: readonly Gap[]): (ms: number) => number {
  const quietMs = gaps.reduce((sum, gap) => sum + gap.toMs - gap.fromMs, 0)
  // At least a millisecond, for a story of one entry.
  const busyMs = Math.max(1, toMs - fromMs - quietMs)
  const strip = Math.min(gapPercent, 100 / (2 * gaps.length + 1))
  const perMs = (100 - gaps.length * strip) / busyMs
  return ms => {
    let at = (ms - fromMs) * perMs
    for (const gap of gaps) {
      if (ms <= gap.fromMs) break
      const inside = Math.min(ms, gap.toMs) - gap.fromMs
      at += (inside / (gap.toMs - gap.fromMs)) * strip - inside * perMs
    }
    return at
  }
}
