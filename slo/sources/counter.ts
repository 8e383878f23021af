import type { Minute, RatioSli, Slot } from './index.ts'

export type Sample = { timeMs: number; value: number }

/** Samples are read in these steps, as PromQL walks in the generated rules. Two scrapes 15 s apart never share a step. */
export const gridSeconds = 10
const cell = (timeMs: number): number => Math.ceil(timeMs / (gridSeconds * 1000)) * gridSeconds

/** The minute that a sample belongs to: one taken at exactly 12:01:00 belongs to 12:00. */
export const minuteOf = (timeMs: number): Minute => Math.ceil(timeMs / 60_000) - 1

/** NaN, infinities and negatives are no counter’s value; the sample is treated as never taken. */
export const isCounterValue = (value: number): boolean => Number.isFinite(value) && value >= 0

/** The minutes [from, to), in which nothing was counted. */
export const unknownSlots = (from: Minute, to: Minute): Slot[] =>
  Array.from({ length: to - from }, (_, i) => ({ start: from + i, good: 0, total: 0, unknown: true }))

/** A minute in which so much of the part and of the total was counted. */
export const ratioSlot = (counts: RatioSli['counts'], start: Minute, part: number, total: number): Slot => ({
  start,
  good: counts === 'good' ? part : total - part,
  total,
  unknown: total === 0,
})

/**
 * How much a counter grew up to `sample`. A value that fell is a restart, counted from zero. A first value counts
 * nothing, as when it happened is not known; the recorder also uses when the process started. `isComputed`: the fall of
 * an expression counts nothing. It mostly is that one of several processes restarted or ended, and what is left is no
 * growth.
 */
export function increase(
  previous: Sample | undefined,
  sample: Sample,
  maxGapSeconds: number,
  isComputed = false,
): number {
  if (!previous || cell(sample.timeMs) - cell(previous.timeMs) > maxGapSeconds) return 0
  const restarted = isComputed ? 0 : sample.value
  return sample.value >= previous.value ? sample.value - previous.value : restarted
}

/** Samples in the order of their times; of two with the same time the larger counts. */
export const ordered = (samples: readonly Sample[]): Sample[] =>
  samples
    .filter(({ value }) => isCounterValue(value))
    .sort((a, b) => a.timeMs - b.timeMs || a.value - b.value)
    .filter((sample, i, all) => sample.timeMs !== all[i + 1]?.timeMs)
