/** A time without entries. */
export type Gap = { fromMs: number; toMs: number }
export type Axis = ReturnType<typeof axisOf>

const gapWidth = 44

/** A time axis from 0 to `width`: quiet times are only a strip. `ticks`, written below, begin its stretches and end it. */
export function axisOf(fromMs: number, toMs: number, gaps: readonly Gap[], width: number) {
  const quietMs = gaps.reduce((sum, gap) => sum + gap.toMs - gap.fromMs, 0)
  // At least a millisecond, for a story of one entry.
  const busyMs = Math.max(1, toMs - fromMs - quietMs)
  const strip = Math.min(gapWidth, width / (2 * gaps.length + 1))
  const perMs = (width - gaps.length * strip) / busyMs
  const x = (ms: number): number => {
    let at = (ms - fromMs) * perMs
    for (const gap of gaps) {
      if (ms <= gap.fromMs) break
      const inside = Math.min(ms, gap.toMs) - gap.fromMs
      at += (inside / (gap.toMs - gap.fromMs)) * strip - inside * perMs
    }
    return at
  }
  const starts = [fromMs, ...gaps.map(gap => gap.toMs)]
  return {
    x,
    gaps: gaps.map(gap => ({ ...gap, x: x(gap.fromMs), width: strip })),
    ticks: [...starts, ...(toMs > fromMs ? [toMs] : [])].map(ms => ({ ms, x: x(ms) })),
  }
}
