import type { Minute } from './index.ts'

export type Sample = { timeMs: number; value: number }

/** Samples are read on this grid, as the generated rules read them: PromQL walks in steps, not in samples. */
export const gridSeconds = 5
const cell = (timeMs: number): number => Math.ceil(timeMs / (gridSeconds * 1000)) * gridSeconds

/** The minute that a sample tells about: one taken at exactly 12:01:00 saw the end of 12:00. */
export const minuteOf = (timeMs: number): Minute => Math.ceil(timeMs / 60_000) - 1

/** NaN, infinities and negatives are no counter’s value; the sample is treated as never taken. */
export const isCounterValue = (value: number): boolean => Number.isFinite(value) && value >= 0

/**
 * How much a counter grew up to `sample`. A value that fell is a restart, counted from zero; a first value counts
 * nothing (what it counted happened at an unknown time), which is why every series is born at zero.
 */
export function increase(previous: Sample | undefined, sample: Sample, maxGapSeconds: number): number {
  if (!previous || cell(sample.timeMs) - cell(previous.timeMs) > maxGapSeconds) return 0
  return sample.value >= previous.value ? sample.value - previous.value : sample.value
}
