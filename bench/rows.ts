import { availableParallelism, cpus, totalmem } from 'node:os'

/** One measured number; without a goal it only explains the others. */
export type Row = { name: string; value: number; unit: string; goal?: string; met?: boolean }

export type Options = {
  /** Small sizes: shows that the benchmark works, not what the service can. */
  quick: boolean
  /** A folder of photos to use instead of made ones. */
  photos?: string
  /** Progress, for people. */
  tell: (line: string) => void
}

/** Each benchmark is a file of this folder with a function of this kind; main.ts lists them. */
export type Benchmark = (options: Options) => Promise<Row[]>

/** A number with its goal: `<= 1.20` or `>= 0.90`. */
export function row(name: string, value: number, unit: string, goal?: string): Row {
  if (goal === undefined) return { name, value, unit }
  const [, relation, bound] = /^(<=|>=) ([\d.]+)$/.exec(goal) ?? []
  if (!relation) throw new Error(`goal "${goal}" must be "<= N" or ">= N"`)
  const met = relation === '<=' ? value <= Number(bound) : value >= Number(bound)
  return { name, value, unit, goal, met }
}

/** The sample that a share of all lie at or below (nearest rank). */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5)

export const machine = () => ({
  cores: availableParallelism(),
  cpu: cpus()[0]?.model ?? 'unknown',
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
  at: new Date().toISOString(),
})

/** The rows as a Markdown table, ready for docs/performance.md. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(({ name, value, unit, goal = '', met }) => {
    const verdict = met === undefined ? '' : met ? 'met' : 'missed'
    return `| ${name} | ${Number(value.toPrecision(3))} | ${unit} | ${goal} | ${verdict} |`
  })
  return ['| name | value | unit | goal | |', '|---|---:|---|---|---|', ...lines].join('\n')
}
