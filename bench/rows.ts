import { availableParallelism, cpus, totalmem } from 'node:os'

/** A mean with its 95 % confidence interval. */
export type Estimate = { value: number; low: number; high: number }

/**
 * One measured number; without a goal it only explains others. A goal is met or missed when the whole interval is on
 * one side of it, and otherwise unclear.
 */
export type Row = {
  name: string
  value: number
  low?: number
  high?: number
  unit: string
  goal?: string
  verdict?: 'met' | 'missed' | 'unclear'
}

/** A number with its goal: `<= 1.20` or `>= 0.90`. */
export function row(name: string, measured: number | Estimate, unit: string, goal?: string): Row {
  const estimate = typeof measured === 'number' ? { value: measured } : measured
  if (goal === undefined) return { name, ...estimate, unit }
  const [, relation, bound] = /^(<=|>=) ([\d.]+)$/.exec(goal) ?? []
  if (!relation) throw new Error(`goal "${goal}" must be "<= N" or ">= N"`)
  const { value, low, high } = { low: estimate.value, high: estimate.value, ...estimate }
  const meets = [low, value, high].map(end =>
    relation === '<=' ? end <= Number(bound) : end >= Number(bound),
  )
  const verdict = meets.every(Boolean) ? 'met' : meets.some(Boolean) ? 'unclear' : 'missed'
  return { name, ...estimate, unit, goal, verdict }
}

/** The smallest sample at or below which a share of all samples lies (nearest rank). */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5)

export const mean = (samples: readonly number[]): number =>
  samples.reduce((sum, each) => sum + each, 0) / samples.length

/** Student's t for 95 %, by degrees of freedom from 1. The last is used above 15: an interval is up to 8 % wider. */
const studentsT = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13]

/** The mean of at least two independent samples, such as differences of paired runs, by Student's t. */
export function estimate(samples: readonly number[]): Estimate {
  const [count, value] = [samples.length, mean(samples)]
  const variance = samples.reduce((sum, each) => sum + (each - value) ** 2, 0) / (count - 1)
  const half = (studentsT[Math.min(count, studentsT.length + 1) - 2] ?? NaN) * Math.sqrt(variance / count)
  return { value, low: value - half, high: value + half }
}

/** The geometric mean of paired ratios, so that twice and half are equally far from 1. */
export function estimateRatio(ratios: readonly number[]): Estimate {
  const { value, low, high } = estimate(ratios.map(Math.log))
  return { value: Math.exp(value), low: Math.exp(low), high: Math.exp(high) }
}

export const machine = () => ({
  cores: availableParallelism(),
  cpu: cpus()[0]?.model ?? 'unknown',
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
  at: new Date().toISOString(),
})

export const digits = (value: number): string => String(Number(value.toPrecision(3)))

/** A value with its interval, if it has one. */
const written = ({ value, low, high }: Row): string =>
  digits(value) + (low === undefined || high === undefined ? '' : ` (${digits(low)} to ${digits(high)})`)

/** The rows as a Markdown table for docs/performance.md. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(
    each => `| ${each.name} | ${written(each)} | ${each.unit} | ${each.goal ?? ''} | ${each.verdict ?? ''} |`,
  )
  return ['| name | value (95 %) | unit | goal | |', '|---|---:|---|---|---|', ...lines].join('\n')
}
