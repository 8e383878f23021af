import type { Minute, RatioSli, Slot } from './index.ts'

export type Sample = { timeMs: number; value: number }

/** Tolerated difference between the clocks of a scraped process and of its scrapes. */
export const clockSkewMs = 5_000

/** Step in which samples are read, as in the generated rules. Two scrapes 15 s apart never share a step. */
export const gridSeconds = 10
const cell = (timeMs: number): number => Math.ceil(timeMs / (gridSeconds * 1000)) * gridSeconds

/** The minute that a sample belongs to: one taken at exactly 12:01:00 belongs to 12:00. */
export const minuteOf = (timeMs: number): Minute => Math.ceil(timeMs / 60_000) - 1

/** Whether a value can be a counter's. Samples with NaN, infinite or negative values are ignored. */
export const isCounterValue = (value: number): boolean => Number.isFinite(value) && value >= 0

/** Slots of the minutes [from, to) without data. */
export const unknownSlots = (from: Minute, to: Minute): Slot[] =>
  Array.from({ length: to - from }, (_, i) => ({ start: from + i, good: 0, total: 0, unknown: true }))

/**
 * A count rounded to a millionth. Rounding errors of counted seconds would make good events more than all events, or
 * show 3 bad ones as 4.
 */
export const rounded = (count: number): number => Math.round(count * 1e6) / 1e6

/** The slot of a minute with these counts of the part and the total, each NaN without a sample. */
export function ratioSlot(counts: RatioSli['counts'], start: Minute, part = NaN, total = NaN): Slot {
  const [some, all] = [rounded(part) || 0, rounded(total) || 0]
  return { start, good: counts === 'good' ? some : all - some, total: all, unknown: Number.isNaN(total) }
}

const isFurther = (one: Sample, other: Sample, seconds: number): boolean =>
  cell(other.timeMs) - cell(one.timeMs) > seconds

/**
 * The growth of a counter up to `sample`. A value that fell is a restart and counts from zero. Undefined for the first
 * value, also after a longer gap, because the time of its events is unknown.
 */
export function increase(previous: Sample | undefined, sample: Sample, maxGapSeconds: number) {
  if (!previous || isFurther(previous, sample, maxGapSeconds)) return undefined
  return sample.value >= previous.value ? sample.value - previous.value : sample.value
}

/** Labels that a process's series share with its `up`; the last two tell clusters with equal addresses apart. */
export const processLabels: readonly string[] = ['job', 'instance', 'namespace', 'cluster']

/** Time in which the process of a new series must have been scraped. Not longer than any gap that is counted over. */
export const scrapedSeconds = 120

type Sampled = readonly { samples: readonly Sample[] }[]

/**
 * Whether a first value counts from zero: the last scrape of its process before it succeeded, without this series.
 * `ups`: the `up` series of the process. Two mean that its target got another label, and with it all of its series.
 * `others`: the process's series of this counter. One that ends at that scrape may be the same series under other labels,
 * because Prometheus began to relabel the metric.
 */
export function isNewborn(ups: Sampled, others: Sampled, { timeMs }: Sample): boolean {
  const [nowMs, beforeMs] = [cell(timeMs) * 1000, (cell(timeMs) - gridSeconds) * 1000]
  const isRecent = (up: Sample, toMs: number) => up.timeMs <= toMs && up.timeMs > toMs - scrapedSeconds * 1000
  const [only, second] = ups.filter(({ samples }) => samples.some(up => isRecent(up, nowMs)))
  const last = only?.samples.findLast(up => isRecent(up, beforeMs))
  if (second !== undefined || last?.value !== 1) return false
  const isIn = (ms: number) => (each: Sample) => Math.abs(each.timeMs - ms) < gridSeconds * 500
  return !others.some(({ samples }) => samples.some(isIn(last.timeMs)) && !samples.some(isIn(timeMs)))
}

/**
 * Like `increase`, for an expression such as a sum over processes. A fall counts as 0: a process restarted, ended or
 * missed a scrape. A rise above the highest value in the gap counts from that value: the process is back with all its
 * counts. `recent` is kept from call to call: the earlier samples that matter, each lower than the one before it.
 */
export function computedIncrease(recent: Sample[], sample: Sample, maxGapSeconds: number): number {
  while (recent[0] && isFurther(recent[0], sample, maxGapSeconds)) recent.shift()
  const from = [recent[0], recent.at(-1)].find(each => each && each.value <= sample.value)
  while (recent.length > 0 && (recent.at(-1) as Sample).value <= sample.value) recent.pop()
  recent.push(sample)
  return from ? sample.value - from.value : 0
}
